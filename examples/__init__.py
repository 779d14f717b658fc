"""Programs that show the Python API. Each runs from the root of the repository: ``python -m examples.NAME``."""
