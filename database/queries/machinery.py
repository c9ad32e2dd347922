"""How the firm's machinery stands: the server, signs of life, failed work, models, what waits. For who sees all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text

from database.session import Session
from database.tables.jobs import QueuedJob
from database.tables.runs import Run


def server(session: Session) -> Row[Any]:
    """The database server: version, size of this database, connections in use and allowed."""
    return session.execute(
        text("""
            select current_setting('server_version') as version, pg_database_size(current_database()) as size_bytes,
                   (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
                   current_setting('max_connections')::integer as connections_max
        """)
    ).one()


def signs_of_life(session: Session) -> Row[Any]:
    """What runs and waits, and for how many seconds the most silent running job and the first waiting one have.

    Each None where there is nothing to measure; the clock is the database's.
    """
    return session.execute(
        text("""
            select (select extract(epoch from now() - min(heartbeat_at))::float from jobs where status = 'running')
                       as silent_s,
                   (select count(*) from jobs where status = 'running') as running,
                   (select count(*) from jobs where status = 'queued') as queued,
                   (select extract(epoch from now() - min(coalesce(not_before_at, created_at)))::float from jobs
                    where status = 'queued' and coalesce(not_before_at, created_at) <= now()) as waited_s,
                   (select max(finished_at) from jobs) as finished_at
        """)
    ).one()


def failed_jobs(session: Session, *, since: datetime) -> dict[str, int]:
    """How many jobs of each name failed since then."""
    rows = session.execute(
        text("""
            select name, count(*) as jobs from jobs where status = 'failed' and finished_at >= :since
            group by name order by name
        """),
        {"since": since},
    )
    return {row.name: row.jobs for row in rows}


def newest_models(session: Session) -> Sequence[Row[Any]]:
    """By kind and strategy: when the newest version was made, and until when the newest fold may serve."""
    return session.execute(
        text("""
            select kind, strategy, max(created_at) as made_at, max(valid_to_on) as valid_to_on
            from model_versions group by kind, strategy order by kind, strategy
        """)
    ).all()


def open_alerts_by_severity(session: Session) -> dict[str, int]:
    """How many alerts nobody has settled."""
    rows = session.execute(
        text("select severity, count(*) as alerts from alerts where settled_at is null group by severity")
    )
    return {row.severity: row.alerts for row in rows}


def engaged_switches(session: Session) -> dict[str, int]:
    """How many kill switches are engaged, by scope."""
    rows = session.execute(
        text("select scope, count(*) as switches from kill_switches where released_at is null group by scope")
    )
    return {row.scope: row.switches for row in rows}


def unsealed_since(session: Session) -> Row[Any]:
    """How many of the newest audit rows no seal holds, and since when the oldest of them waits."""
    return session.execute(
        text("""
            select count(*) as waiting, min(at) as oldest_at from audit a
            where audit_id > (select coalesce(max(audit_id), 0) - 2000 from audit_seals)
              and not exists (select from audit_seals s where s.audit_id = a.audit_id)
        """)
    ).one()


def newest_runs(session: Session, *, job: str, book: str, limit: int) -> Sequence[Run]:
    """The newest runs of a job in a book, by session, newest first."""
    return session.scalars(
        select(Run).where(Run.job == job, Run.book == book).order_by(Run.as_of.desc()).limit(limit)
    ).all()


def open_work(session: Session, *, limit: int) -> Sequence[QueuedJob]:
    """Jobs that run or wait, those that run first, each by age."""
    return session.scalars(
        select(QueuedJob)
        .where(QueuedJob.status.in_(("queued", "running")))
        .order_by(QueuedJob.status.desc(), QueuedJob.job_id)
        .limit(limit)
    ).all()


def waiting_counts(session: Session) -> Row[Any]:
    """What waits for a person, for the next open, or for a broker's answer, in the firm's own book."""
    return session.execute(
        text("""
            select (select count(*) from recommendations join accounts using (account_id)
                    where recommendations.status = 'proposed' and book = :book) as recommendations,
                   (select count(*) from orders join accounts using (account_id)
                    where state in ('planned', 'intent', 'sending', 'accepted', 'partial') and book = :book)
                       as orders_open,
                   (select count(*) from orders join accounts using (account_id)
                    where state = 'unknown' and book = :book) as orders_unknown,
                   (select count(*) from accounts where status = 'halted' and book = :book) as accounts_halted
        """),
        {"book": "paper"},
    ).one()
