"""`acis train`: screeners and allocators, missing folds only."""

from typing import Annotated

import typer

from cli.arguments import JsonFlag, parse_strategies, parse_years
from cli.output import print_json, print_table, say, shown_progress
from mlops.jobs.train_allocator import run_train_allocator
from mlops.jobs.train_screener import TrainingReport, run_train_screener

group = typer.Typer(no_args_is_help=True)
YearsOption = Annotated[str | None, typer.Option(help="Years the models serve: 2017, 2016,2017 or 2009-2020.")]


@group.command("screener")
def screener(
    strategy: Annotated[str | None, typer.Option(help="Strategies, comma-separated; default: all.")] = None,
    years: YearsOption = None,
    full: Annotated[bool, typer.Option("--full", help="Daily rows and more rounds; takes far longer.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Train the walk-forward folds of the screeners that are missing; each year's fold saw earlier years only."""
    with shown_progress() as progress:
        report = run_train_screener(
            strategies=parse_strategies(strategy),
            years=parse_years(years, "--years") if years else None,
            full=full,
            progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
    else:
        show_screeners(report)


def show_screeners(report: TrainingReport) -> None:
    """What was trained, and how the screeners stand out of sample."""
    say(
        f"{len(report.trained)} of {report.folds_total} folds trained, {len(report.extended)} judged on new sessions,"
        f" {report.seconds:.0f} s"
    )
    if not report.judgements:
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
            for judgement in report.judgements
        ],
        caption="spread: best less worst decile over 21 sessions, net of costs; hypothetical",
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@group.command("allocator")
def allocator(
    years: YearsOption = None,
    seeds: Annotated[int, typer.Option(min=3, help="Seeds a fold; the median one serves.")] = 3,
    full: Annotated[bool, typer.Option("--full", help="Ten times the steps.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Train the PPO allocator's folds that are missing and judge each beside the simple allocators."""
    with shown_progress() as progress:
        folds = run_train_allocator(
            years=parse_years(years, "--years") if years else None,
            seeds=seeds,
            full=full,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(folds)
        return
    if not folds:
        say("no allocator fold is missing")
    for fold in folds:
        for line in fold.lines():
            say(line)
