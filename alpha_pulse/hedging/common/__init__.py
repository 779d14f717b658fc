"""Ports and the values that flow through them. Pure."""
