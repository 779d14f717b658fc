"""The ``alpha-pulse`` command: every subcommand, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 it ran and failed, or found something wrong; 2 what was typed or configured cannot be run; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from alpha_pulse.cli import (
    backtest,
    compare,
    compare_results,
    configure,
    data,
    doctor,
    drill,
    explain,
    fake_exchange,
    notify,
    operate,
    optimize,
    replay,
    run,
    serve,
    var,
)
from alpha_pulse.errors import AlphaPulseError, ConfigError, Transient

app = typer.Typer(
    name="alpha-pulse",
    help="Hedges a crypto inventory with a grid of limit orders on perpetual futures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.demo)
app.command("run")(run.run)
app.command()(backtest.backtest)
app.command()(optimize.optimize)
app.command("compare")(compare_results.compare)
app.command()(replay.replay)
app.command()(operate.status)
app.command()(operate.stop)
app.command()(operate.resume)
app.command()(operate.flatten)
app.command()(operate.kill)
app.command()(explain.explain)
app.command()(configure.init)
app.command()(doctor.doctor)
app.add_typer(configure.config_app, name="config")
app.add_typer(data.data_app, name="data")
app.add_typer(operate.tickets_app, name="tickets")
app.add_typer(operate.audit_app, name="audit")
app.command("compare-sizers")(compare.compare_sizers)
app.command("var-backtest")(var.var_backtest)
app.command("notify-test")(notify.notify_test)
app.command()(drill.drill)
app.command("fake-exchange")(fake_exchange.fake_exchange)
app.command()(serve.serve)
app.command()(run.version)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, by default on the process's own arguments, and exit."""
    try:
        sys.exit(app(arguments, prog_name="alpha-pulse"))
    except ConfigError as error:
        report(error)
        sys.exit(2)
    except Transient as error:
        _say(f"alpha-pulse: {error}")
        given = sys.argv[1:] if arguments is None else arguments
        instead = "name a mirror with --rest-url" if list(given[:1]) == ["data"] else "run on `--feed simulated`"
        _say(f"This passes by itself if the other side comes back: check the network, or {instead}.")
        sys.exit(1)
    except AlphaPulseError as error:
        _say(f"alpha-pulse: {error}")
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"alpha-pulse: {where}{error.strerror or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def report(error: ConfigError) -> None:
    """Print what is wrong, where, and how to mend it, to standard error."""
    from alpha_pulse.hedging.common.problems import problems_of  # noqa: PLC0415 - pulls pydantic in, which --help does without

    problems = problems_of(error)
    _say(f"alpha-pulse: {'this' if len(problems) == 1 else f'these {len(problems)} things'} must be mended:")
    for problem in problems:
        value = "" if problem.value is None else f" = {problem.value!r}"
        where = f"{problem.field}{value}: " if problem.field else ""
        _say(f"  {where}{problem.problem.rstrip('.')}.")
        if problem.fix:
            _say(f"      Fix: {problem.fix}")


def _say(line: str) -> None:
    """Print to standard error, without secrets: what a library said may hold an address with its password."""
    from alpha_pulse.runtime.masking import mask  # noqa: PLC0415 - json, base64 and urllib, which --help does without

    typer.echo(mask(line), err=True)
