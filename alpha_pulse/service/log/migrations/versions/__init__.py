"""One module per schema revision. A revision that was released is never edited."""
