"""The ``notify-test`` command."""

from __future__ import annotations

import typer

from alpha_pulse.cli.options import ConfigOption, SetOption, load


def notify_test(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Send a test message to every target of the alerts, and say what became of each."""
    from alpha_pulse.errors import ConfigError  # noqa: PLC0415 - with the rest below
    from alpha_pulse.runtime.notify.notifier import notify_targets, send_test  # noqa: PLC0415 - as above

    settings = load(config, assignments).settings.notify
    targets = notify_targets(settings)
    if not targets:
        raise ConfigError(
            "no target is set.", field=settings.urls_env, fix="set it to apprise URLs, separated by spaces, e.g. tgram://… or mailto://…"
        )
    trials = send_test(targets)
    for trial in trials:
        typer.echo(f"{trial.label}: {trial.problem or 'sent; look whether it arrived'}")
    raise typer.Exit(1 if any(trial.problem for trial in trials) else 0)
