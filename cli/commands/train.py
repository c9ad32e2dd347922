"""`acis train`: screeners and allocators, missing folds only."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cli.arguments import JsonFlag, asker, parse_strategies, parse_years
from cli.output import print_json, print_table, say, shown_progress
from core.errors import InputError
from core.jobs import TrainScreener, TuneScreener
from database.queries.models import STANDARD_SCREENER
from database.session import transaction
from jobs.service import submit
from ml_models.algorithms import ALGORITHMS
from ml_models.comparison import Spread
from ml_models.configuration import algorithm_named
from ml_models.service import Judgement
from mlops.jobs.compare_screeners import SEEDS as COMPARED_SEEDS
from mlops.jobs.compare_screeners import YEARS, run_compare_screeners
from mlops.jobs.train_allocator import AllocatorReport, run_train_allocator
from mlops.jobs.train_screener import TrainingReport, run_train_screener
from mlops.jobs.tune_screener import TuningReport, run_tune_screener
from rl_trading.judgement import Line, StrategyTable
from rl_trading.settings import SEEDS

group = typer.Typer(no_args_is_help=True)
YearsOption = Annotated[str | None, typer.Option(help="Years the models serve: 2017, 2016,2017 or 2009-2020.")]


@group.command("screener")
def screener(
    strategy: Annotated[str | None, typer.Option(help="Strategies, comma-separated; default: all.")] = None,
    years: YearsOption = None,
    algorithm: Annotated[
        str | None, typer.Option(help=f"What learns: {', '.join(ALGORITHMS)}; default: {STANDARD_SCREENER}.")
    ] = None,
    tune: Annotated[
        int | None, typer.Option(min=1, help="Search parameters with so many trials a strategy, on years before.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Daily rows and more rounds; takes far longer.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Hand one job a strategy to the workers, and return.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Train the walk-forward folds of the screeners that are missing; each year's fold saw earlier years only."""
    strategies = parse_strategies(strategy)
    wanted = parse_years(years, "--years") if years else None
    if algorithm is not None:
        algorithm_named(algorithm)
    if tune is not None and full:
        raise InputError("--tune searches with weekly rows: leave --full away")
    if queue:
        _hand_out(strategies, wanted, algorithm, tune, full=full)
        return
    with shown_progress() as progress:
        if tune is not None:
            tuned = run_tune_screener(
                trials=tune, strategies=strategies, years=wanted, algorithm=algorithm, progress=progress
            )
        else:
            report = run_train_screener(
                strategies=strategies, years=wanted, algorithm=algorithm, full=full, progress=progress
            )
    if as_json:
        print_json(report.as_dict() if tune is None else tuned.as_dict())
    elif tune is None:
        show_screeners(report)
    else:
        _show_tuning(tuned)


def _hand_out(
    strategies: list[str], years: list[int] | None, algorithm: str | None, tune: int | None, *, full: bool
) -> None:
    """One job a strategy, so that as many workers as there are can share them."""
    with transaction() as session:
        for name in strategies:
            shared = {"strategies": (name,), "years": tuple(years) if years else None, "algorithm": algorithm}
            job = TrainScreener(**shared, full=full) if tune is None else TuneScreener(**shared, trials=tune)
            submit(session, job, actor=asker(), requested_by=None)
    say(f"{len(strategies)} jobs are asked for; `acis job list` tells how they go")


def _show_tuning(report: TuningReport) -> None:
    """What the searches found, and how it did on the years that they had not seen."""
    print_table(
        "tuning: mean rank IC of the years before the test years",
        ["strategy", "algorithm", "years", ">trials", ">given up", ">usual", ">best", "parameters"],
        [
            (
                tuning.strategy,
                tuning.algorithm,
                f"{tuning.inner_years[0]}-{tuning.inner_years[-1]}",
                tuning.trials,
                tuning.pruned,
                _number(tuning.usual_value, "+.4f"),
                _number(tuning.value, "+.4f"),
                ", ".join(f"{name} {value:.4g}" for name, value in tuning.parameters.items()),
            )
            for tuning in report.tunings
        ],
        caption="every trial counts for the gate; the best of many looks better than it is",
    )
    say(f"{len(report.trained)} folds trained, {report.seconds:.0f} s")
    _show_judgements(report.judgements)


def show_screeners(report: TrainingReport) -> None:
    """What was trained, and how the screeners stand out of sample."""
    say(
        f"{len(report.trained)} of {report.folds_total} folds trained, {len(report.extended)} judged on new sessions,"
        f" {report.seconds:.0f} s"
    )
    _show_judgements(report.judgements)


def _show_judgements(judgements: Sequence[Judgement]) -> None:
    if not judgements:
        return
    print_table(
        "screeners out of sample, all years",
        ["strategy", ">AUC", ">rank IC", ">t", ">decile spread net"],
        [
            (
                judgement.strategy,
                _number(judgement.overall.auc, ".4f"),
                _number(judgement.overall.rank_ic, "+.4f"),
                _number(judgement.overall.rank_ic_t, "+.1f"),
                _number(judgement.overall.decile_spread_net, "+.2%"),
            )
            for judgement in judgements
        ],
        caption="spread: best less worst decile over 21 sessions, net of costs; hypothetical",
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@group.command("compare")
def compare(
    strategy: Annotated[str | None, typer.Option(help="Strategies, comma-separated; default: all.")] = None,
    years: Annotated[str | None, typer.Option(help=f"Test years; default: {', '.join(map(str, YEARS))}.")] = None,
    algorithms: Annotated[str | None, typer.Option(help=f"Of {', '.join(ALGORITHMS)}; default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, with other random numbers.")] = COMPARED_SEEDS,
    as_json: JsonFlag = False,
) -> None:
    """Compare the screeners' algorithms on years that none has seen; nothing of it is kept to serve."""
    with shown_progress() as progress:
        table = run_compare_screeners(
            strategies=parse_strategies(strategy),
            algorithms=[name.strip() for name in algorithms.split(",")] if algorithms else None,
            years=parse_years(years, "--years") if years else None,
            seeds=seeds,
            progress=progress,
        )
    if as_json:
        print_json(table.as_dict())
        return
    print_table(
        f"algorithms out of sample, {table.from_on} to {table.to_on}, years {', '.join(map(str, table.years))}",
        [
            "strategy",
            "algorithm",
            ">IC",
            ">ICIR",
            ">rank IC",
            ">rank ICIR",
            ">excess a year",
            ">IR",
            ">drawdown",
            ">DSR",
        ],
        [
            (
                line.strategy,
                line.algorithm,
                _spread(line.ic, "+.4f"),
                _spread(line.icir, "+.2f"),
                _spread(line.rank_ic, "+.4f"),
                _spread(line.rank_icir, "+.2f"),
                _spread(line.excess_return_annual, "+.2%"),
                _spread(line.information_ratio, "+.2f"),
                _spread(line.drawdown_max, ".1%"),
                _number(line.deflated_sharpe, ".2f"),
            )
            for line in table.lines
        ],
        caption=f"mean ± deviation over {table.seeds} seeds, net of costs, {table.trials} series tried; hypothetical",
    )


def _spread(spread: Spread, form: str) -> str:
    return "-" if spread.mean is None else f"{spread.mean:{form}} ± {spread.deviation:{form.lstrip('+')}}"


@group.command("allocator")
def allocator(
    years: YearsOption = None,
    seeds: Annotated[int, typer.Option(min=3, help="Seeds a fold; their mean is the policy.")] = SEEDS,
    full: Annotated[bool, typer.Option("--full", help="A million steps a seed.")] = False,
    device: Annotated[str, typer.Option(help="cpu, or cuda for an NVIDIA GPU.")] = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Train the PPO allocator's folds that are missing and judge each beside the simple allocators."""
    with shown_progress() as progress:
        report = run_train_allocator(
            years=parse_years(years, "--years") if years else None,
            seeds=seeds,
            full=full,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
    else:
        show_allocators(report)


def show_allocators(report: AllocatorReport) -> None:
    """What was trained, and how all allocators stand out of sample, strategy by strategy."""
    for fold in (*report.trained, *report.extended):
        for line in fold.lines():
            say(line)
    say(
        f"{len(report.trained)} allocators trained, {len(report.extended)} judged on new sessions,"
        f" {report.seconds:.0f} s"
    )
    for table in report.tables:
        print_table(
            f"{table.strategy}: all allocators out of sample, {table.from_on} to {table.to_on}",
            [
                "allocator",
                ">a year",
                ">volat.",
                ">Sharpe",
                ">drawdown",
                ">lead a year, 90 %",
                *map(_column, table.lines[0].years),
            ],
            [
                (
                    line.allocator,
                    _number(line.annual_return, ".1%"),
                    _number(line.annual_volatility, ".1%"),
                    _number(line.sharpe, ".2f"),
                    f"{line.drawdown_max:.1%}",
                    _lead(line),
                    *(f"{gain:+.1%}" for gain in line.years.values()),
                )
                for line in table.lines
            ],
            caption=_caption(table),
        )


def _column(year: int) -> str:
    return f">{year}"


def _lead(line: Line) -> str:
    return "-" if line.lead is None else f"{line.lead.observed:+.1%} [{line.lead.low:+.1%} {line.lead.high:+.1%}]"


def _caption(table: StrategyTable) -> str:
    regimes = "; ".join(
        f"{label} {part['sessions']} sessions: model {part['mean_bps']['model']:+.1f}, equal weight"
        f" {part['mean_bps']['equal_weight']:+.1f} bps a session"
        for label, part in table.regimes.items()
    )
    return f"lead: over equal weight; net of costs, hypothetical; {regimes}"
