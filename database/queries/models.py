"""Model versions: which fold may serve on a date, which exist already, which the tracking server has not heard of."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, cast, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import defer

from database.session import Session, advisory_lock
from database.tables.models import ModelVersion

# The screener whose out-of-fold scores everybody else learns from and is measured by; its rivals disturb nobody.
STANDARD_SCREENER = "xgboost"


def valid_models(session: Session, *, kind: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the newest version of the standard algorithm whose fold may serve on `as_of`."""
    rows = session.scalars(
        select(ModelVersion)
        .where(*_family(kind, None, tuned=False), ModelVersion.valid_from_on <= as_of, ModelVersion.valid_to_on > as_of)
        .order_by(ModelVersion.strategy, ModelVersion.valid_from_on, ModelVersion.version)
    )
    return {row.strategy: row for row in rows}


def newest_folds(
    session: Session,
    *,
    kind: str,
    strategies: Collection[str] | None = None,
    algorithm: str | None = None,
    tuned: bool = False,
    mid_year: bool = False,
) -> list[ModelVersion]:
    """The newest version of each yearly fold, by strategy and valid_from_on: all strategies, or those named.

    Of the standard algorithm with its usual parameters, unless another or the tuned ones are asked for; `mid_year`
    asks for the folds that begin to serve in the middle of a year.
    """
    query = (
        select(ModelVersion)
        .ext(distinct_on(ModelVersion.strategy, ModelVersion.valid_from_on))
        .where(*_family(kind, algorithm, tuned=tuned), _is_yearly != mid_year)
        .order_by(ModelVersion.strategy, ModelVersion.valid_from_on, ModelVersion.version.desc())
    )
    if strategies is not None:
        query = query.where(ModelVersion.strategy.in_(list(strategies)))
    return list(session.scalars(query))


_is_tuned = func.coalesce(ModelVersion.manifest["tuned"].as_boolean(), literal(False))
_is_yearly = ModelVersion.valid_from_on == cast(func.date_trunc("year", ModelVersion.valid_from_on), Date)


def _family(kind: str, algorithm: str | None, *, tuned: bool) -> list[ColumnElement[bool]]:
    """Conditions on the versions of a kind that follow one another: one algorithm, tuned or not."""
    wanted = algorithm or (STANDARD_SCREENER if kind == "screener" else None)
    return [
        ModelVersion.kind == kind,
        _is_tuned == tuned,
        *([] if wanted is None else [ModelVersion.algorithm == wanted]),
    ]


def add_model(
    session: Session, model: ModelVersion, *, stands: Callable[[ModelVersion], bool]
) -> tuple[ModelVersion, bool]:
    """Give `model` the next version of its name and store it; returns (row, whether it is new).

    Where the fold's newest version of the same algorithm, tuned or not, has the same input_hash and `stands`, that one
    is returned. Two writers at once: the second waits.
    """
    advisory_lock(session, f"acis:model:{model.name}")
    present = session.scalar(
        select(ModelVersion)
        .where(
            ModelVersion.name == model.name,
            ModelVersion.valid_from_on == model.valid_from_on,
            ModelVersion.algorithm == model.algorithm,
            _is_tuned == bool(model.manifest.get("tuned")),
        )
        .order_by(ModelVersion.version.desc())
        .limit(1)
    )
    if present is not None and present.input_hash == model.input_hash and stands(present):
        return present, False
    newest = session.scalar(select(func.max(ModelVersion.version)).where(ModelVersion.name == model.name))
    model.version = (newest or 0) + 1
    session.add(model)
    session.flush()
    return model, True


def update_metrics(session: Session, *, model_version_id: int, changes: Mapping[str, Any]) -> ModelVersion:
    """Replace some of a model's measures: its test year has grown."""
    row = session.scalars(select(ModelVersion).where(ModelVersion.model_version_id == model_version_id)).one()
    row.metrics = {**row.metrics, **changes}
    session.flush()
    return row


def record_tracking_run(session: Session, *, model_version_ids: Sequence[int], tracking_run_id: str | None) -> None:
    """Note under which run the tracking server keeps these versions; None: it does not, log them again."""
    for row in session.scalars(select(ModelVersion).where(ModelVersion.model_version_id.in_(model_version_ids))):
        row.tracking_run_id = tracking_run_id
    session.flush()


def find_versions(session: Session, *, name: str | None = None) -> list[ModelVersion]:
    """Every version of a model, or of all models, by name and version."""
    query = select(ModelVersion).order_by(ModelVersion.name, ModelVersion.version)
    return list(session.scalars(query if name is None else query.where(ModelVersion.name == name)))


def version_heads(session: Session, *, name: str | None = None) -> list[ModelVersion]:
    """Every version of all models, or of one, without its manifest and measures, which are most of a row."""
    query = select(ModelVersion).options(
        defer(ModelVersion.manifest, raiseload=True), defer(ModelVersion.metrics, raiseload=True)
    )
    if name is not None:
        query = query.where(ModelVersion.name == name)
    return list(session.scalars(query.order_by(ModelVersion.name, ModelVersion.version)))


def folds_of_trial(session: Session, *, trial_id: int) -> list[ModelVersion]:
    """Every version that is a fold of this configuration, by valid_from_on and version."""
    return list(
        session.scalars(
            select(ModelVersion)
            .where(ModelVersion.trial_id == trial_id)
            .order_by(ModelVersion.valid_from_on, ModelVersion.version)
        )
    )
