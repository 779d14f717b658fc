"""Alerts for a person: which, when, to whom, and never into the own network."""
