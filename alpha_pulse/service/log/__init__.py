"""The decision log: every answer durable on this machine before it leaves, and in the database soon afterwards, once and in order."""
