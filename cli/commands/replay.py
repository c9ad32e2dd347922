"""`acis replay`: the nightly verbs over a stretch of history."""

from typing import Annotated

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from cli.training import audit_unprobed, train_missing
from mlops.jobs.build_features import run_build_features
from mlops.jobs.replay import Replay, require_stretch, run_replay


def command(
    first: Annotated[str, typer.Option("--from", help="First day (YYYY-MM-DD).")],
    last: Annotated[str, typer.Option("--to", help="Last day (YYYY-MM-DD).")],
    as_json: JsonFlag = False,
) -> None:
    """Run every night of a stretch on copies of the paper accounts, each with the models valid on that night.

    Models that the stretch needs and that are missing are trained first. A second run changes nothing.
    """
    first_on, last_on = parse_date(first, "--from"), parse_date(last, "--to")
    require_stretch(first_on, last_on)
    with shown_progress() as progress:
        run_build_features(progress=progress)
        train_missing(years=list(range(first_on.year, last_on.year + 1)), progress=progress)
        audit_unprobed(progress=progress)
        replay = run_replay(first_on=first_on, last_on=last_on, progress=progress)
    if as_json:
        print_json(replay)
    else:
        _show(replay)


def _show(replay: Replay) -> None:
    say(
        f"{replay.book}: {replay.sessions} sessions, {replay.nights_run} nights run now, {replay.nights_before} before,"
        f" {replay.orders} orders, {replay.fills} fills, {replay.refused} refused, {replay.seconds:.0f} s"
    )
    for title, tally in (
        ("strategies", replay.strategies),
        ("scored by", replay.scorers),
        ("allocators", replay.allocators),
        ("regimes", replay.regimes),
    ):
        say(f"{title}: {', '.join(f'{name} {nights}' for name, nights in tally.items())} (nights)")
    print_table(
        "hypothetical: paper trades at past prices, net of costs, beside the S&P 500 price index",
        ["account", ">start USD", ">end USD", ">return", ">volatility", ">Sharpe", ">drawdown", ">against index"],
        [
            (
                row.account,
                f"{row.value_start_usd:,.0f}",
                f"{row.value_end_usd:,.0f}",
                *(_percent(row.measures.get(name)) for name in ("total_return", "annual_volatility")),
                _number(row.measures.get("sharpe")),
                *(_percent(row.measures.get(name)) for name in ("drawdown_max", "excess_return")),
            )
            for row in replay.accounts
        ],
        caption="volatility, Sharpe and the comparison are a year's (252 sessions), and not told of less than a year",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
