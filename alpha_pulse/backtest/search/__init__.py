"""Searching for settings: trials on the past, judged on what the search has not seen."""
