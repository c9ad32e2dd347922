"""`acis status`: what runs, what is loaded, what ran last. It starts no server but the database it must ask."""

from dataclasses import dataclass
from datetime import date, datetime

from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say
from cli.stack import ServerState, database_is_there, look
from database.queries.bars import last_session_on
from database.queries.runs import latest_runs
from database.schema import current_revision, newest_revision
from database.session import engine, transaction


@dataclass(frozen=True)
class LastRun:
    """One of the newest runs of the paper book."""

    run_id: int
    job: str
    as_of: date
    status: str
    attempt: int
    finished_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class Status:
    """What `acis status` answers; the database's part is empty where none was ever set up."""

    servers: list[ServerState]
    revision: str | None
    newest_revision: str
    last_bars_on: date | None
    runs: list[LastRun]


def command(as_json: JsonFlag = False) -> None:
    """Show the servers, the schema, the newest session with bars and the newest runs."""
    status = _status()
    if as_json:
        print_json(status)
        return
    rows = [
        (s.name, "ready" if s.ready else "not ready" if s.running else "stopped", s.address) for s in status.servers
    ]
    print_table("servers", ["server", "state", "address"], rows, caption="`acis up` starts them all")
    if status.revision is None:
        say("no database yet: `make demo` sets one up")
        return
    print_table(
        "newest runs",
        [">run", "job", "session", "status", ">attempt", "finished", "error"],
        [(r.run_id, r.job, r.as_of, r.status, r.attempt, r.finished_at, r.error) for r in status.runs],
        caption=f"schema {status.revision} of {status.newest_revision}; newest bars {status.last_bars_on or 'none'}",
    )


def _status() -> Status:
    servers, newest = look(), newest_revision()
    revision = current_revision(engine()) if database_is_there() else None
    if revision is None:
        return Status(servers, None, newest, None, [])
    with transaction() as session:
        runs = [
            LastRun(run.run_id, run.job, run.as_of, run.status, run.attempt, run.finished_at, run.error)
            for run in latest_runs(session)
        ]
        return Status(servers, revision, newest, last_session_on(session), runs)
