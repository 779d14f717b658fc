"""Market data: feeds, indicators, and the provider that turns one into the other."""
