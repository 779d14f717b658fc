"""Running the bot over recorded or simulated markets, and measuring what came of it."""
