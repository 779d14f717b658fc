"""Where a hedge ratio comes from."""
