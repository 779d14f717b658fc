"""The settings tree."""
