"""`acis demo`: everything set up, real data carried through one night, and what to look at next."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated

import typer

from cli.arguments import parse_date
from cli.commands.nightly import show_night
from cli.output import print_table, say, shown_progress
from cli.training import audit_unprobed, train_missing
from clients.service import sample_clients
from core.progress import Progress
from database.queries.models import newest_folds
from database.queries.orders import first_order_of_session
from database.schema import migrate
from database.session import engine, transaction
from market_data.calendars import require_session
from market_data.service import load_sample
from mlops.jobs.build_features import run_build_features
from mlops.jobs.nightly import run_nightly
from mlops.jobs.sync_tracking import run_sync_tracking, tracking_is_behind
from mlops.tracking import start_tracking, stop_tracking
from quant.service import detect_regimes
from trading.service import open_paper_account

NIGHT = "2017-06-30"
FIRST_REGIME_ON = date(2007, 1, 3)


class Stopwatch:
    """Runs the steps of the demo, times them and remembers what each brought."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.rows: list[tuple[str, str, str]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time one step; call what it yields with the outcome in words."""
        outcome: list[str] = []
        begun = time.perf_counter()
        yield outcome.append
        self.rows.append((name, outcome[0], f"{time.perf_counter() - begun:.1f}"))


def command(
    as_of: Annotated[str, typer.Option("--as-of", help="Session of the night (YYYY-MM-DD).")] = NIGHT,
) -> None:
    """Set everything up and carry real data through one night. What is there already is left as it is."""
    day = require_session(parse_date(as_of, "--as-of"))
    with shown_progress() as progress:
        watch = Stopwatch(progress)
        with watch.step("schema") as tell:
            before, after = migrate(engine())
            tell("there already" if before == after else f"migrated to {after}")
        with _tracking_warming_up():
            result = _carry(day, watch)
    show_night(result)
    print_table("where the time went", ["step", "outcome", ">seconds"], watch.rows)
    _what_next(day)


@contextmanager
def _tracking_warming_up() -> Iterator[None]:
    """Have MLflow start beside the other work where there will be something to log: its first start takes a minute."""
    with transaction() as session:
        is_new = not newest_folds(session, kind="screener")
    started = (is_new or tracking_is_behind()) and start_tracking()
    try:
        yield
    finally:
        if started:
            stop_tracking()


def _carry(day: date, watch: Stopwatch) -> dict[str, object]:
    with watch.step("sample data") as tell:
        load = load_sample(progress=watch.progress)
        bars = load.bars
        tell(
            "there already" if bars.already_loaded else f"{bars.rows_inserted:,} bars, {bars.rows_quarantined} refused"
        )
    with watch.step("sample clients") as tell, transaction() as session:
        accounts = sample_clients(session, opened_on=day)
        opened = [open_paper_account(session, account_id=account.account_id) for account in accounts]
        tell(f"{sum(opened)} accounts opened" if any(opened) else "there already")
    with watch.step("features") as tell:
        built = run_build_features(progress=watch.progress)
        tell(f"{built.rows_written:,} rows of {built.features}" if built.years_built else "there already")
    with watch.step("regimes") as tell, transaction() as session:
        read = detect_regimes(session, first_on=FIRST_REGIME_ON, last_on=built.last_on, progress=watch.progress)
        tell(f"{read} readings" if read else "there already")
    with watch.step("models") as tell:
        screeners, allocators = train_missing(years=[day.year], progress=watch.progress)
        trained = len(screeners.trained) + len(allocators)
        tell(f"{len(screeners.trained)} screener and {len(allocators)} allocator folds" if trained else "there already")
    with watch.step("leak audit") as tell:
        state = audit_unprobed(progress=watch.progress)
        tell(f"{state.status.replace('_', ' ')}, {state.reason}")
    with watch.step("night") as tell:
        result = run_nightly(as_of=day, progress=watch.progress)
        counts = result["counts"]
        tell(f"run {result['run_id']}: {counts['orders']} orders, {counts['fills']} fills")
    with watch.step("tracking") as tell:
        logged = run_sync_tracking(progress=watch.progress)
        tell(f"{logged.runs} MLflow runs, {logged.versions} versions" if logged.runs else "there already")
    return result


def _what_next(day: date) -> None:
    with transaction() as session:
        order_id = first_order_of_session(session, session_on=day)
    say("what to look at next:")
    if order_id is not None:
        say(f"  .venv/bin/acis explain order {order_id}          why that order was placed, back to the data")
    for line in (
        f"acis screen growth --as-of {day}    the top stocks with their reasons",
        f"acis regime --as-of {day}           the regime and what drove it",
        "acis replay --from 2016-01-04 --to 2017-06-30    every night of eighteen months",
        "acis data status                         coverage against the true index, and its survivorship",
        "acis up                                  everything running, with MLflow in the browser",
    ):
        say(f"  .venv/bin/{line}")
