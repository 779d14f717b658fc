"""How much to hedge, and which orders may pass."""
