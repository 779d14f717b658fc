"""The compiled twin of the replay: the same decisions and fills from the same functions, by numba, for sweeps."""
