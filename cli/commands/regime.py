"""`acis regime`: the market regime of a session and what drove it."""

from typing import Annotated

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say
from database.session import transaction
from market_data.service import latest_session, require_session
from quant.service import detect_regime


def command(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Session (YYYY-MM-DD); default: the latest.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the regime of a session with its probabilities and the inputs that drove it."""
    with transaction() as session:
        day = require_session(parse_date(as_of, "--as-of")) if as_of else latest_session(session)
        reading = detect_regime(session, as_of=day)
    if as_json:
        print_json(reading)
        return
    others = ", ".join(f"{name} says {label}" for name, label in reading.other_labels.items())
    say(f"{reading.session_on}: {reading.label} by {reading.detector} (the day alone: {reading.raw_label}); {others}")
    print_table(
        "probabilities",
        ["regime", ">probability"],
        [(label, f"{p:.1%}") for label, p in sorted(reading.probabilities.items(), key=lambda item: -item[1])],
    )
    print_table(
        "what drove it",
        ["input", ">value", "in words"],
        [(name, driver.get("value"), driver.get("sentence", "")) for name, driver in reading.drivers.items()],
    )
