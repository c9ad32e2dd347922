"""`acis data`: load market data and show what is there."""

from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from database.session import transaction
from market_data.service import DataStatus, data_status, import_files, latest_session, load_sample

group = typer.Typer(no_args_is_help=True)


@group.command("load-sample")
def load_sample_(as_json: JsonFlag = False) -> None:
    """Load the shipped sample: S&P 500 bars 2006-2020 and what goes with them. Loading twice changes nothing."""
    with shown_progress() as progress:
        load = load_sample(progress=progress)
    if as_json:
        print_json(load)
        return
    rows = [(name, "there already" if count is None else f"{count:,}") for name, count in load.rows.items()]
    print_table("sample", ["file", ">rows loaded"], [*rows, ("quarantined bars", f"{load.bars.rows_quarantined:,}")])


@group.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files of daily bars.")],
    symbol: Annotated[str | None, typer.Option(help="Ticker of a file that has no symbol column.")] = None,
    source: Annotated[str | None, typer.Option(help="Vendor of the file; default: told by its columns.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load your own bars through the quality gate; bad rows are kept in quarantine with their reason."""
    with shown_progress() as progress:
        imports = import_files(files, symbol=symbol, source=source, progress=progress)
    if as_json:
        print_json(imports)
        return
    print_table(
        "import",
        ["file", "source", ">read", ">inserted", ">changed", ">unchanged", ">quarantined", "note"],
        [
            (
                done.file,
                done.source,
                done.rows_read,
                done.rows_inserted,
                done.rows_changed,
                done.rows_unchanged,
                done.rows_quarantined,
                "; ".join(("loaded before", *done.notes) if done.already_loaded else done.notes),
            )
            for done in imports
        ],
        caption="read = inserted + changed + unchanged + quarantined; `acis data status` counts the reasons",
    )


@group.command("status")
def status(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Day to look from (YYYY-MM-DD).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show coverage per year against the true index membership, last dates, and refused rows by reason."""
    with transaction() as session:
        day = parse_date(as_of, "--as-of") if as_of else latest_session(session)
        found = data_status(session, as_of=day)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: DataStatus) -> None:
    print_table(
        f"bars as of {found.as_of}",
        [">year", ">bars", ">stocks", "last session", ">index members", ">with bars", ">coverage"],
        [
            (
                year.year,
                f"{year.bars:,}",
                year.instruments,
                year.last_on,
                year.members,
                year.members_with_bars,
                "-" if year.coverage is None else f"{year.coverage:.1%}",
            )
            for year in found.years
        ],
    )
    print_table(
        "series",
        ["series", "what", "last date", ">values"],
        [(one.series, one.title, one.last_on, f"{one.observations:,}") for one in found.series],
    )
    print_table(
        "company facts by the year in which they became known",
        [">year", ">facts", ">companies", "newest period"],
        [(one.year, f"{one.facts:,}", one.companies, one.last_period_end_on) for one in found.facts],
    )
    if found.quarantined_by_reason:
        print_table("refused rows", ["reason", ">rows"], list(found.quarantined_by_reason.items()))
    else:
        say("no row is in quarantine")
    for warning in found.warnings:
        say(f"warning: {warning}")
