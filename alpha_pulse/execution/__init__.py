"""Venues: the matching engine, the paper and recommendation brokers, and the factory that chooses one."""
