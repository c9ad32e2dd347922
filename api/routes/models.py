"""Models: what each is worth, who serves and why, training, and what people decide."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import Response

from api.deps import AsOf, Cursor, Limit, desk, needs
from api.names import ModelName, StrategyFilter
from api.once import Once, OnceKey, do_once
from api.schemas.decisions import (
    DecisionOut,
    Judging,
    OverrideRequest,
    Promotion,
    ReasonedChange,
    Rollback,
    StartedOut,
    Training,
)
from api.schemas.models import (
    AlertOut,
    ComparisonOut,
    DriftOverviewOut,
    DriftStateOut,
    FeatureDriftOut,
    ImportancesOut,
    ModelDetailOut,
    ModelDriftOut,
    ModelOut,
    ReturnsOut,
    VersionDetailOut,
    VersionOut,
)
from api.schemas.page import Page
from api.series import importances, measures, series_of
from api.stretch import FromOn, ToOn, stretch
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.config import get_settings
from core.errors import UnknownName
from core.jobs import Job, JudgeModels
from database.queries import drift as drift_queries
from database.queries.alerts import page_alerts
from database.session import Session
from jobs.service import submit
from registry import decisions, portrait
from registry.decisions import version_named, versions_named
from registry.drift_state import drift_state
from registry.records import NOTE, shadow_series, trial_series
from strategies.library import STRATEGIES

router = Word("models", tags=["models"])

Version = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[9])]
VersionFilter = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
_USUAL_DAYS = 365
_YEARS_MAX = 10


@router.get("")
def list_models(
    as_of: AsOf = None,
    kind: Literal["screener", "allocator"] | None = None,
    strategy: StrategyFilter = None,
    actor: Actor = needs("models.read"),
) -> list[ModelOut]:
    """Every model by name as it stands: newest version, champion and challenger, the gate's word, drift, alerts."""
    with desk(actor) as session:
        lines = portrait.list_models(session, as_of=as_of or practice_date(session))
        return [
            ModelOut.model_validate(line)
            for line in lines
            if kind in (None, line.kind) and strategy in (None, line.strategy)
        ]


@router.get("/drift")
def show_drift(as_of: AsOf = None, actor: Actor = needs("models.read")) -> DriftOverviewOut:
    """What has drifted: features and models on the newest session that was read up to `as_of`."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        read_on = drift_queries.newest_session(session, as_of=day)
        rows = [] if read_on is None else drift_queries.readings_on(session, session_on=read_on)
        alarming = [row for row in rows if row.is_alarm]
        return DriftOverviewOut(
            as_of=day,
            read_on=read_on,
            features=len({row.subject for row in rows if row.subject_kind == "feature"}),
            drifted=[FeatureDriftOut.model_validate(row) for row in alarming if row.subject_kind == "feature"],
            models=[FeatureDriftOut.model_validate(row) for row in alarming if row.subject_kind != "feature"],
        )


@router.get("/alerts")
def list_alerts(
    subject: Annotated[str | None, Query(max_length=64, pattern="^[a-z0-9_-]+$", description="Of one model.")] = None,
    severity: Literal["notice", "warning", "critical"] | None = None,
    is_open: bool | None = True,
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("models.read"),
) -> Page[AlertOut]:
    """What somebody should look at, those that came back last first."""
    with desk(actor) as session:
        found = page_alerts(session, subject=subject, severity=severity, is_open=is_open, limit=limit, cursor=cursor)
        return Page[AlertOut].of(found, lambda row: AlertOut.model_validate(row.Alert))


@router.post("/trainings", status_code=202, response_model=StartedOut)
def start_training(body: Training, once: Once, actor: Actor = needs("models.train")) -> Response:
    """Train or tune as a job. Whatever comes of it serves nobody before the gate has passed it."""
    for name in body.strategies or ():
        if name not in STRATEGIES:
            raise UnknownName("strategy", name, list(STRATEGIES))
    return _start(once, actor, body.job())


@router.post("/judgements", status_code=202, response_model=StartedOut)
def start_judging(body: Judging, once: Once, actor: Actor = needs("models.train")) -> Response:
    """Let the gate judge every version that may serve, as a job; its word decides who is champion and challenger."""
    return _start(once, actor, JudgeModels(as_of=body.as_of))


@router.get("/{name}")
def show_model(name: ModelName, as_of: AsOf = None, actor: Actor = needs("models.read")) -> ModelDetailOut:
    """A model and all its versions: roles and their history, the gate's word with every check, records, drift."""
    with desk(actor) as session:
        told = portrait.show_model(session, name=name, as_of=as_of or practice_date(session))
        return ModelDetailOut.model_validate({**vars(told), "mlflow_url": _mlflow_url(name)}, from_attributes=True)


@router.get("/{name}/comparison")
def compare_versions(
    name: ModelName,
    first: VersionFilter = None,
    second: VersionFilter = None,
    as_of: AsOf = None,
    actor: Actor = needs("models.read"),
) -> ComparisonOut:
    """Two versions side by side; without numbers champion and challenger."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        pair = (first, second) if first and second else portrait.to_compare(session, name=name, as_of=day)
        told = portrait.compare_versions(session, name=name, versions=pair, as_of=day)
        return ComparisonOut(name=name, as_of=day, versions=[VersionOut.model_validate(one) for one in told])


@router.get("/{name}/importance")
def show_importance(
    name: ModelName,
    limit: Annotated[int, Query(ge=1, le=200, description="Features, those used most first.")] = 30,
    actor: Actor = needs("models.read"),
) -> ImportancesOut:
    """Which features the folds of a model use, fold by fold; of each fold its newest version."""
    with desk(actor) as session:
        return importances(name, versions_named(session, name=name), limit)


@router.get("/{name}/drift")
def show_model_drift(
    name: ModelName,
    from_on: FromOn = None,
    to_on: ToOn = None,
    version: VersionFilter = None,
    actor: Actor = needs("models.read"),
) -> ModelDriftOut:
    """A model's drift over time, measure by measure; of all its versions, or one. Without `from_on` one year."""
    with desk(actor) as session:
        first, last = stretch(from_on, to_on or practice_date(session), usual_days=_USUAL_DAYS, years_max=_YEARS_MAX)
        known = versions_named(session, name=name)
        key = None if version is None else version_named(session, name=name, version=version).model_version_id
        rows = drift_queries.readings_between(
            session, subject=known[0].name, first_on=first, last_on=last, model_version_id=key
        )
        state = drift_state(session, name=name, as_of=last, model_version_id=key)
        return ModelDriftOut(
            name=name,
            from_on=first,
            to_on=last,
            state=DriftStateOut.model_validate(state),
            measures=measures(rows),
        )


@router.get("/{name}/versions/{version}")
def show_version(
    name: ModelName, version: Version, as_of: AsOf = None, actor: Actor = needs("models.read")
) -> VersionDetailOut:
    """One version: the gate's word, records, calibration by tenth, importance of features, parameters, lineage."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        (told,) = portrait.compare_versions(session, name=name, versions=[version], as_of=day)
        model = version_named(session, name=name, version=version)
        return VersionDetailOut.build(model, told, _mlflow_url(name, version))


@router.get("/{name}/versions/{version}/returns")
def show_returns(
    name: ModelName, version: Version, as_of: AsOf = None, actor: Actor = needs("models.read")
) -> ReturnsOut:
    """Daily out-of-sample returns of the version's configuration beside the baselines that it must beat."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        (told,) = portrait.compare_versions(session, name=name, versions=[version], as_of=day)
        model = version_named(session, name=name, version=version)
        found = trial_series(session, [model], as_of=day).get(model.trial_id, {})
        return ReturnsOut(name=name, version=version, basis=told.gate.basis, items=series_of(found))


@router.get("/{name}/versions/{version}/shadow")
def show_shadow(
    name: ModelName, version: Version, as_of: AsOf = None, actor: Actor = needs("models.read")
) -> ReturnsOut:
    """Daily returns of the strategy's lanes since the version may serve: served, plain, and the challengers'."""
    with desk(actor) as session:
        model = version_named(session, name=name, version=version)
        found = shadow_series(session, model, as_of=as_of or practice_date(session))
        basis = f"{NOTE.replace('out of sample', 'in shadow')}; nobody's money is in it"
        return ReturnsOut(name=name, version=version, basis=basis, items=series_of(found))


@router.post("/{name}/versions/{version}/promotion", response_model=DecisionOut)
def promote_version(
    name: ModelName, version: Version, body: Promotion, once: Once, actor: Actor = needs("models.promote")
) -> Response:
    """Make a version champion. The gate is heard first; unless it passes the version, the answer is 409 and its words.

    What the gate said is kept either way.
    """
    day = _hear(actor, name, version, body.effective_on)
    return _decide(
        once,
        actor,
        lambda session: decisions.promote_version(
            session, name=name, version=version, actor=actor.email, effective_on=day
        ),
    )


@router.post("/{name}/versions/{version}/override-request", response_model=DecisionOut)
def request_override(
    name: ModelName, version: Version, body: OverrideRequest, once: Once, actor: Actor = needs("models.promote")
) -> Response:
    """Ask that a version be champion against or without the gate's word; another person has to confirm it."""
    day = _hear(actor, name, version, body.effective_on)
    return _decide(
        once,
        actor,
        lambda session: decisions.ask_override(
            session, name=name, version=version, by=actor.email, reason=body.reason, effective_on=day
        ),
    )


@router.post("/{name}/versions/{version}/override-confirmation", response_model=DecisionOut)
def confirm_override(name: ModelName, version: Version, once: Once, actor: Actor = needs("models.promote")) -> Response:
    """Confirm what another person asked for; the version is champion from the day that was asked for."""
    return _decide(
        once,
        actor,
        lambda session: decisions.confirm_override(session, name=name, version=version, by=actor.email),
    )


@router.post("/{name}/rollback", response_model=DecisionOut)
def roll_back_champion(name: ModelName, body: Rollback, once: Once, actor: Actor = needs("models.promote")) -> Response:
    """Take the champion out: back to the one before it that may still serve, else to nobody."""
    return _decide(
        once,
        actor,
        lambda session: decisions.roll_back_champion(
            session,
            name=name,
            by=actor.email,
            reason=body.reason,
            to_nobody=body.to_nobody,
            effective_on=_soonest(session, name, body.effective_on),
        ),
    )


@router.post("/{name}/hold", response_model=DecisionOut)
def hold_champion(
    name: ModelName, body: ReasonedChange, once: Once, actor: Actor = needs("models.promote")
) -> Response:
    """Take the champion out of service until it is released."""
    return _decide(once, actor, lambda session: _on_champion(decisions.hold_champion, session, name, body, actor))


@router.post("/{name}/release", response_model=DecisionOut)
def release_champion(
    name: ModelName, body: ReasonedChange, once: Once, actor: Actor = needs("models.promote")
) -> Response:
    """Put a champion on hold back into service, unless the gate has failed it since."""
    return _decide(once, actor, lambda session: _on_champion(decisions.release_champion, session, name, body, actor))


def _start(once: OnceKey, actor: Actor, job: Job) -> Response:
    def work(session: Session) -> StartedOut:
        return StartedOut(job_id=submit(session, job, actor=actor.email, requested_by=actor.user_id))

    return do_once(once, actor, work, status=202)


def _decide(once: OnceKey, actor: Actor, change: Callable[[Session], decisions.Decision]) -> Response:
    return do_once(once, actor, lambda session: DecisionOut.model_validate(change(session)))


def _hear(actor: Actor, name: str, version: int, effective_on: date | None) -> date:
    """Have the gate judge in a transaction of its own, so that its word stays even where the change is refused."""
    with desk(actor) as session:
        day = _soonest(session, name, effective_on, version=version)
        decisions.hear_gate(session, name=name, version=version, effective_on=day)
    return day


def _soonest(session: Session, name: str, effective_on: date | None, *, version: int | None = None) -> date:
    if effective_on is not None:
        return effective_on
    return decisions.soonest(session, name=name, today=practice_date(session), version=version)


def _on_champion(
    change: Callable[..., decisions.Decision], session: Session, name: str, body: ReasonedChange, actor: Actor
) -> decisions.Decision:
    day = _soonest(session, name, body.effective_on)
    return change(session, name=name, by=actor.email, reason=body.reason, effective_on=day)


def _mlflow_url(name: str, version: int | None = None) -> str | None:
    server: Any = get_settings().mlflow_tracking_uri
    if not server or not server.startswith("http"):
        return None
    return f"{server.rstrip('/')}/#/models/{name}" + (f"/versions/{version}" if version else "")
