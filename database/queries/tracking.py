"""What the tracking server is to show: how far the rows have come, and every trial of our own."""

from sqlalchemy import select, text

from database.session import Session
from database.tables.trials import Trial


def mirrored_state(session: Session) -> list[int]:
    """Numbers of which one rises whenever a model, verdict, role, trial or return is added."""
    row = session.execute(
        text("""
            select (select coalesce(max(model_version_id), 0) from model_versions),
                   (select coalesce(max(verdict_id), 0) from gate_verdicts),
                   (select coalesce(max(model_role_id), 0) from model_roles),
                   (select coalesce(max(trial_id), 0) from trials),
                   (select coalesce(sum(cardinality(returns)), 0) from trial_returns)
        """)
    ).one()
    return [int(value) for value in row]


def own_trials(session: Session) -> list[Trial]:
    """Every trial that the platform made itself, by id; what was logged by hand is on the server already."""
    return list(session.scalars(select(Trial).where(Trial.source != "tracking").order_by(Trial.trial_id)))


def returns_counts(session: Session) -> dict[int, int]:
    """trial_id -> how many returns are stored of it, over all its series."""
    rows = session.execute(text("select trial_id, sum(cardinality(returns)) from trial_returns group by trial_id"))
    return {int(row[0]): int(row[1]) for row in rows}


def versions_with_roles(session: Session) -> set[int]:
    """Ids of the versions that have or had a role."""
    return set(
        session.scalars(text("select distinct model_version_id from model_roles where model_version_id is not null"))
    )
