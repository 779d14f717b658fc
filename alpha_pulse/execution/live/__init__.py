"""Real mode, in parts: connection, order life cycle, books, streams and reconciliation."""
