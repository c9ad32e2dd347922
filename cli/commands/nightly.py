"""`acis nightly`: one night, from the day's bars to fills and the report."""

from typing import Annotated, Any

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from database.session import transaction
from market_data.service import latest_session
from mlops.jobs.nightly import run_nightly


def command(
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Session to run (YYYY-MM-DD); default: the latest with bars.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run one night for the firm's paper accounts. The same night twice places nothing twice."""
    if as_of is None:
        with transaction() as session:
            day = latest_session(session)
    else:
        day = parse_date(as_of, "--as-of")
    with shown_progress() as progress:
        result = run_nightly(as_of=day, progress=progress)
    if as_json:
        print_json(result)
    else:
        show_night(result)


def show_night(result: dict[str, Any]) -> None:
    """The night as tables. Nights of before there were lanes do not say who scored."""
    counts, regime, strategy = result["counts"], result["regime"], result["strategy"]
    say(f"run {result['run_id']}, {result['as_of']}: regime {regime['label']} (by {regime['detector']})")
    say(f"strategy {strategy['name']}: {strategy['reason']}")
    print_table(
        "strategies of the night",
        ["strategy", "status", ">eligible", ">screened", "scored by", "weighed by", "refused because"],
        [
            (
                row["strategy"],
                row["status"],
                row["eligible"],
                row["screened"],
                row.get("scored_by") or "-",
                row["allocator"] or "-",
                row["reason"] or "",
            )
            for row in result["strategies"]
        ],
    )
    for key in ("scored_reason", "allocator_reason"):
        for reason, names in _by_reason(result["strategies"], key).items():
            say(f"{', '.join(names)}: {reason}")
    for finding in result.get("models", {}).get("shadow", ()):
        say(f"shadow ledger, {finding['name']} version {finding['version']}: {finding['action']}: {finding['reason']}")
    print_table(
        "what happened",
        [
            "client",
            "strategy",
            ">positions",
            ">orders",
            ">refused",
            ">fills",
            ">cash before",
            ">cash after",
            ">value after",
        ],
        [
            (
                row["client"],
                row["strategy"] or "-",
                row["positions"],
                row["orders"],
                row["refused"],
                row["fills"],
                f"{row['cash_before_usd']:,.2f}",
                f"{row['cash_after_usd']:,.2f}",
                f"{row['value_after_usd']:,.2f}",
            )
            for row in result["clients"]
        ],
        caption=(
            f"universe {counts['universe']} of {counts['index_members']} index members, screened {counts['screened']},"
            f" orders {counts['orders']}, refused {counts['refused']}, fills {counts['fills']},"
            f" waiting for the next open {counts['waiting']}; amounts in USD"
        ),
    )


def _by_reason(rows: list[dict[str, Any]], key: str) -> dict[str, list[str]]:
    """Each reason with the strategies that share it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get(key):
            found.setdefault(row[key], []).append(row["strategy"])
    return found
