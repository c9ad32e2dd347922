"""`acis reproduce`: the tables of docs/results.md, rebuilt from the shipped data, or held against what is stored."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.output import say, shown_progress, stdout
from cli.reproduction import SHORT, WHOLE, reproduce
from cli.results import GATE_TITLE, ResultTable, disagreements
from core.errors import InputError, IntegrityBroken

INTRODUCTION = """# Results

Rebuilt by `make reproduce` from the data that ship with the project and from fixed seeds; nothing here was written by
hand. **Everything is hypothetical**: simulated fills at the next open, stated costs, S&P 500 members of 2006 to 2020 as
far as the sample has them, so figures flatter by survivorship ([data](../market_data/sample/README.md)). Past results,
and simulated ones even more so, say little about the future.
"""


def command(
    short: Annotated[bool, typer.Option("--short", help="Two strategies, a year or two: minutes.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write the tables as Markdown to this file.")] = None,
    store: Annotated[Path | None, typer.Option(help="Write the tables as JSON to this file.")] = None,
    check: Annotated[Path | None, typer.Option(help="Fail where the tables differ from this JSON file.")] = None,
) -> None:
    """Rebuild the results from the shipped data; the whole takes about an hour on two cores."""
    kept = None if check is None else _read(check)
    with shown_progress() as progress:
        tables = reproduce(SHORT if short else WHOLE, progress=progress)
    if store is not None:
        store.write_text(json.dumps([table.as_dict() for table in tables], indent=1, ensure_ascii=False) + "\n")
    if page is not None:
        page.write_text(page_of(tables))
    if page is None and store is None and check is None:
        stdout.print(page_of(tables), markup=False, highlight=False)
    if kept is not None:
        found = disagreements(tables, kept)
        for line in found:
            say(line)
        if found:
            raise IntegrityBroken(
                f"{len(found)} figures differ from {check}; if that is meant, store them anew: --store"
            )
        say(f"{len(tables)} tables are those of {check}")


def _read(path: Path) -> list[dict[str, object]]:
    try:
        tables = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"--check is {path}, which holds no stored tables ({error}): write them with --store"
        ) from error
    if not isinstance(tables, list):
        raise InputError(f"--check is {path}, which is not a list of tables: write them with --store")
    return tables


def page_of(tables: list[ResultTable]) -> str:
    """The page of the results."""
    verdicts = [row[2] for table in tables if table.title.startswith(GATE_TITLE) for row in table.rows]
    passed = sum(verdict == "pass" for verdict in verdicts)
    summary = (
        f"{passed} of {len(verdicts)} judgements are a pass. Where no configuration of a model passes, the platform"
        " serves\nthe strategy's plain rule and a simple allocator, says so with every order, and lets learned models"
        " run in shadow.\n"
    )
    return "\n".join([INTRODUCTION, summary, *(line for table in tables for line in table.lines())])
