"""The only ambient I/O: clock, ids, logging, database engine."""
