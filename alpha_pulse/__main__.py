"""``python -m alpha_pulse`` is the ``alpha-pulse`` command."""

from alpha_pulse.cli.main import main

if __name__ == "__main__":
    main()
