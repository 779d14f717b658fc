"""The command ``optimize``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from alpha_pulse.cli.options import (
    Flags,
    FundingOption,
    MarkOption,
    PerpOption,
    SetOption,
    SinceOption,
    SpotOption,
    SymbolOption,
    TimeframeOption,
    UntilOption,
    console,
    load_pair,
    past_market,
    recorded,
    writable_folder,
)

if TYPE_CHECKING:
    from alpha_pulse.backtest.search.engine import EngineChoice
    from alpha_pulse.backtest.search.result import SearchOptions, SearchResult
    from alpha_pulse.backtest.search.study import SamplerName
    from alpha_pulse.settings import Settings

INTERRUPTED = 130


def optimize(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="YAML settings to begin with; what is not varied stays as it is.")],
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=RANGE", help="A field to search: KEY=LOW..HIGH, LOW..HIGH/STEP, LOW..HIGH:log, or A,B,C."),
    ] = None,
    space: Annotated[str | None, typer.Option("--space", metavar="FILE", help="Fields to search, in a YAML file; --vary beats it.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective", metavar="NAME", help="effectiveness, cost, worst_decile, sharpe …, or a place in result.json with :max, :min."
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="How many trials, earlier ones of the same study included.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal trials, with one worker.")] = 42,
    sampler: Annotated[
        str, typer.Option("--sampler", metavar="NAME", help="auto (tpe; nsga2 for several objectives), tpe or nsga2.")
    ] = "auto",
    prune: Annotated[
        bool, typer.Option("--prune", help="Run a ninth and a third of the training first; only the best third goes on.")
    ] = False,
    test: Annotated[float, typer.Option("--test", metavar="SHARE", help="Last share of the data, which the search never sees.")] = 0.3,
    embargo_days: Annotated[float, typer.Option("--embargo-days", metavar="DAYS", help="Left out before each test.")] = 1.0,
    walk_forward: Annotated[int, typer.Option("--walk-forward", metavar="N", help="Search N times, each time for the next test.")] = 1,
    rolling: Annotated[bool, typer.Option("--rolling", help="With --walk-forward: trainings of equal length, not growing ones.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="auto (the compiled twin where it can), compiled or replay.")
    ] = "auto",
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes, or actors with --ray.")] = 1,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Run on a Ray cluster: HOST:PORT, ray://…, auto or local.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="URL", help="sqlite:///FILE or postgresql://…. [default: study.db in --out]")
    ] = None,
    study: Annotated[
        str, typer.Option("--study", metavar="NAME", help="A study of this name in the storage is taken up again.")
    ] = "search",
    spot: SpotOption = None,
    perp: PerpOption = None,
    funding: FundingOption = None,
    mark: MarkOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    timeframe: TimeframeOption = None,
    symbol: SymbolOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report and its data go.")] = Path("out/optimize"),
    assignments: SetOption = None,
) -> None:
    """Search for settings on past candles, and say whether what was found is more than luck.

    Any field can be varied, several objectives give a Pareto front. The search sees the first part of the candles, the rest judges its
    choice.
    """
    flags: Flags = {
        "mode": ("optimize", "paper"),
        **past_market(recorded(spot, perp, funding, mark), since=since, until=until, timeframe=timeframe),
    }

    from alpha_pulse.backtest.search.folds import Division  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.backtest.search.objectives import parse_objectives  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.search.result import SearchOptions  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.search.search_console import render  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.search.search_files import write_search  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.search.space import parse_space  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.search.study import Plan  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.logging import configure_logging  # noqa: PLC0415 - as above
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - as above

    settings = one_pair(load_pair(config, assignments, flags, symbol))
    plan = Plan(
        parse_space(vary or (), space), parse_objectives(objective or ("effectiveness", "cost")), trials, seed,
        cast("SamplerName", sampler), prune,
    )  # fmt: skip
    writable_folder(out, "--out")
    options = SearchOptions(
        settings, plan, out, Division(test, walk_forward, rolling, embargo_days), cast("EngineChoice", engine), workers, ray, storage, study
    )
    configure_logging(settings.logging.model_copy(update={"file": out / "optimize.log"}), console=False)
    result = _search(options)
    files = write_search(result, out, _template(config, assignments, symbol, settings))
    render(result, files, console())
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _search(options: SearchOptions) -> SearchResult:
    """Search with a progress bar on standard error."""
    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.search.run import run_search  # noqa: PLC0415 - as above

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading the market", total=None, last="")

        def told(done: int, planned: int, last: str) -> None:
            bar.update(task, description="Searching", completed=done, total=planned, last=last)

        return run_search(options, told, said=lambda words: bar.console.print(Text(words)))


def _template(config: str, assignments: list[str] | None, symbol: str | None, settings: Settings) -> Callable[[Any], str]:
    """Whole configurations: the given one, without the flags that chose the market, with a trial's values in it."""
    from alpha_pulse.backtest.search.candidate import candidate, given_values  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.cli.template import render  # noqa: PLC0415 - as above
    from alpha_pulse.errors import ConfigError  # noqa: PLC0415 - as above
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - as above

    try:
        own = one_pair(load_pair(config, assignments, {}, symbol))
    except ConfigError:  # it is whole only with the flags
        own = settings
    base = given_values(own)
    return lambda params: render(candidate(base, params))
