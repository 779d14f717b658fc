"""The event store and the projections built from it."""
