"""The command ``serve``: the hedge as a service over HTTP."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Final

import typer

from alpha_pulse.errors import ConfigError

_NEEDED: Final = ("fastapi", "uvicorn", "httptools", "prometheus_client", "redis", "watchfiles", "purgatory")


def serve(
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Beats HE_HOST.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Beats HE_PORT.")] = None,
    new_token: Annotated[str | None, typer.Option("--new-token", metavar="NAME", help="Print a new token, and serve nothing.")] = None,
    scope: Annotated[str, typer.Option("--scope", metavar="read|trade", help="What the new token may do.")] = "read",
) -> None:
    """Serve sizing and risk over HTTP, each answer on record. Settings are HE_… variables of the environment."""
    if new_token is not None:
        _print_token(new_token, scope)
        return
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"the service needs {', '.join(missing)}", fix='pip install "alpha-pulse[service]"')

    from alpha_pulse.service.server import run_service  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.service.settings import load_service_settings  # noqa: PLC0415 - as above

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run_service(load_service_settings(overrides=given))


def _print_token(name: str, scope: str) -> None:
    from alpha_pulse.service.tokens import Scope, new_token  # noqa: PLC0415 - as above

    if scope not in list(Scope):
        raise ConfigError("is no scope", field="--scope", value=scope, fix="write read or trade")
    token, kept = new_token(name, Scope(scope))
    typer.echo("The token, which is shown this once; give it to the client:")
    typer.echo(f"  {token}")
    typer.echo("Its entry; add it to HE_API_TOKENS of the service (entries are separated by commas):")
    typer.echo(f"  {kept.entry}")
