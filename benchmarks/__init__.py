"""Every figure that the README claims, measured: ``python -m benchmarks`` (or ``make bench``)."""
