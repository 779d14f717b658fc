"""Frozen value types that every layer shares: instruments, market data, orders, positions, events. Pure."""
