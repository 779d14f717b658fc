"""The ``alpha-pulse`` command."""


def main() -> None:
    """Run the command line."""
