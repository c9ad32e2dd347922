"""`acis audit`: whether what the platform claims about itself holds."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from auth.anchors import read_anchors
from auth.seals import Verification, verify
from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from core.config import get_settings
from core.errors import InputError
from database.session import transaction
from mlops.jobs.audit_leaks import LeakReport, run_audit_leaks

group = typer.Typer(no_args_is_help=True)
# Nothing found, but what must run did not: no reason to trust, and none to distrust.
_EXIT_CODES = {"clean": 0, "found": 1, "not_run": 2}


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


@group.command("verify")
def verify_chain(
    anchor: Annotated[
        Path | None,
        typer.Option("--anchor", help="Anchors of the chain, best a copy kept elsewhere; default: this machine's own."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Recompute the chain over the audit log and name the first bad row; exit code 1 when there is one."""
    file = anchor or get_settings().audit_anchor_file
    anchors = read_anchors(file) if anchor is not None or file.is_file() else []
    with transaction() as session:
        done = verify(session, anchors)
    if as_json:
        print_json(asdict(done))
    else:
        _tell(done)
    raise typer.Exit(0 if done.bad is None else 1)


def _tell(done: Verification) -> None:
    say(f"{done.checked} of {done.sealed} seals recomputed, {done.waiting} rows wait for theirs")
    if done.anchors:
        say(f"{done.anchors} anchors met")
    else:
        say("no anchor was met: a tail cut off, or a chain written anew as a whole, would not be seen")
    if done.bad is None:
        say("sound: no row is bad")
    else:
        row = "" if done.bad.audit_id is None else f" audit row {done.bad.audit_id}"
        place = "" if done.bad.seal_id is None else f" seal {done.bad.seal_id}"
        say(f"first bad:{row}{place}: {done.bad.reason}")


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
