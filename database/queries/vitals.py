"""How the firm's work stands, in a few numbers that name nobody: for those who watch the service."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import text

from core.clock import NEW_YORK
from database.session import Session

_WITHIN = timedelta(days=7)
_CLOSE = time(16, 0)


@dataclass(frozen=True)
class Vitals:
    """The numbers; None where there is nothing to measure yet."""

    jobs: dict[str, int]
    oldest_queued_s: float
    data_age_s: float | None
    model_age_s: dict[str, float]
    orders_rejected: int
    orders_unknown: int
    alerts_open: int


def read_vitals(session: Session, *, at: datetime) -> Vitals:
    """The numbers as of now. They are the firm's: the transaction sees everybody's rows from here on."""
    session.execute(text("select set_config('acis.sees', 'all', true)"))
    row = session.execute(
        text("""
            select (select jsonb_object_agg(status, jobs) from (
                        select status, count(*) as jobs from jobs
                        where created_at > cast(:since as timestamptz) or finished_at is null
                        group by status) as counted) as jobs,
                   (select min(created_at) from jobs where status = 'queued') as oldest_queued_at,
                   (select jsonb_object_agg(name, extract(epoch from made_at)) from (
                        select kind || ':' || strategy as name, max(created_at) as made_at from model_versions
                        group by kind, strategy) as made) as models,
                   (select count(*) from order_events
                    where to_state = 'rejected' and at > cast(:since as timestamptz)) as rejected,
                   (select count(*) from orders where state = 'unknown') as unknown,
                   (select count(*) from alerts where settled_at is null) as alerts,
                   (select max(session_on) from daily_bars where session_on >= (
                        select make_date(max(year)::integer, 1, 1) from data_vintages where dataset = 'daily_bars'
                    )) as last_on
        """),
        {"since": at - _WITHIN},
    ).one()
    return Vitals(
        jobs=row.jobs or {},
        oldest_queued_s=0.0 if row.oldest_queued_at is None else (at - row.oldest_queued_at).total_seconds(),
        data_age_s=None if row.last_on is None else (at - _close_of(row.last_on)).total_seconds(),
        model_age_s={name: at.timestamp() - float(made_at) for name, made_at in (row.models or {}).items()},
        orders_rejected=row.rejected,
        orders_unknown=row.unknown,
        alerts_open=row.alerts,
    )


def _close_of(session_on: date) -> datetime:
    return datetime.combine(session_on, _CLOSE, NEW_YORK)
