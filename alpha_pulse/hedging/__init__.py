"""The hedge itself: what to hold, what to order, what to remember. Knows ports, not venues."""
