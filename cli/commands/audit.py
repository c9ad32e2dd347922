"""`acis audit`: whether what the platform claims about itself holds."""

from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from core.errors import InputError
from mlops.jobs.audit_leaks import LeakReport, run_audit_leaks

group = typer.Typer(no_args_is_help=True)
# Nothing found, but what must run did not: no reason to trust, and none to distrust.
_EXIT_CODES = {"clean": 0, "found": 1, "not_run": 2}


@group.callback()
def _root() -> None:
    """Keeps Typer from taking a lone command for the whole group."""


@group.command("leaks")
def leaks(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Look at rows up to here; default: the newest.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write the page of Markdown to this file.")] = None,
    is_deep: Annotated[bool, typer.Option("--deep", help="Cut time at six times as many sessions.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Probe the whole decision path for anything by which it could know the future; exit code 1 when it does."""
    if report is not None and not report.parent.is_dir():
        raise InputError(
            f"--report is {str(report)!r}: there is no folder {str(report.parent)!r}; name one that exists"
        )
    day = parse_date(as_of, "--as-of") if as_of else None
    with shown_progress() as progress:
        done = run_audit_leaks(as_of=day, is_deep=is_deep, progress=progress)
    if report is not None:
        report.write_text(done.page())
        say(f"written to {report}")
    if as_json:
        print_json(done.as_dict())
    else:
        _show(done)
    raise typer.Exit(_EXIT_CODES[done.status])


def _show(done: LeakReport) -> None:
    print_table(
        f"leak audit {done.leak_audit_id} as of {done.as_of}: {done.status.replace('_', ' ')}",
        ["probe", "result", "looked at", ">s"],
        [
            (
                probe.name,
                probe.status.replace("_", " "),
                probe.looked_at if probe.left_out is None else f"nothing: {probe.left_out}",
                f"{probe.seconds:.1f}",
            )
            for probe in done.probes
        ],
        caption=f"{done.reason}; --report FILE.md writes the whole page",
    )
    for probe in done.probes:
        for finding in probe.findings:
            say(f"{probe.name}: {finding.text}")
