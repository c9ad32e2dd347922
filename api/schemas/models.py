"""Models on trial: versions, roles, the gate's word, records, drift, and what people decide about them.

Every figure is out of sample, net of costs and hypothetical, and stands beside its period and the number of trials.
"""

from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from database.tables.models import ModelVersion


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ModelOut(_Row):
    """A model in a list: its newest version that had begun to serve, who has the roles, what the gate says."""

    name: str = Field(examples=["screener-momentum_largecap"])
    kind: str = Field(description="screener or allocator")
    strategy: str
    versions: int
    newest: int
    champion: int | None = Field(description="Version that reaches clients; null: the simple rule does.")
    challenger: int | None = Field(description="Version that runs in shadow.")
    verdict: str = Field(description="pass, fail, not_proven or not judged")
    reason: str
    basis: str = Field(description="What the figures rest on.")
    drift: str = Field(description="calm, alarm or unknown")
    alerts: int = Field(description="Open alerts about it.")


class CheckOut(_Row):
    """One question of the gate to the evidence."""

    name: str
    is_hard: bool = Field(description="A hard check must pass even to run in shadow.")
    status: str = Field(description="pass, not_proven or fail")
    value: float | None
    bar: float | None = Field(description="What the value is held against.")
    sentence: str


class GateOut(_Row):
    """The gate's word on a version, in words and numbers."""

    verdict: str
    reason: str
    as_of: date | None
    trials: int | None = Field(description="Configurations of the kind that were ever tried.")
    from_on: date | None
    to_on: date | None
    sessions: int
    deflated_sharpe: float | None
    overfitting: float | None = Field(description="Probability that the choice among configurations is overfitted.")
    basis: str
    checks: list[CheckOut]


class RecordOut(_Row):
    """What one series earned over its sessions, net of costs; fractions. Null where a year is not reached."""

    series: str
    from_on: date
    to_on: date
    sessions: int
    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    drawdown_max: float


class VersionOut(_Row):
    """One version: what it is, what it was made from, which aliases it has, what the gate says, what it earned."""

    version: int
    algorithm: str
    aliases: list[str]
    valid_from_on: date = Field(description="First day that it may serve.")
    valid_to_on: date = Field(description="First day that it may not serve any more.")
    trained_from_on: date
    trained_to_on: date
    last_label_on: date = Field(description="Newest day whose outcome it saw.")
    lineage: dict[str, str | int | None]
    gate: GateOut
    record: list[RecordOut]


class DriftStateOut(_Row):
    """What is known of a model's drift."""

    name: str
    state: str = Field(description="calm, alarm or unknown")
    sentence: str
    read_on: date | None


class RoleChangeOut(_Row):
    """One change in the history of a name's roles."""

    effective_on: date
    role: str
    action: str
    version: int | None
    reason: str
    actor: str
    second_actor: str | None


class ModelDetailOut(_Row):
    """A model and all its versions, newest first."""

    name: str
    kind: str
    strategy: str
    as_of: date
    newest: int
    champion: int | None
    challenger: int | None
    on_hold: int | None
    drift: DriftStateOut
    alerts: list[str]
    shadow: list[RecordOut] = Field(description="What each lane's book made of itself; never annualised.")
    versions: list[VersionOut]
    history: list[RoleChangeOut]
    mlflow_url: str | None = Field(description="Its page in MLflow; null where no server is configured.")


class QualityOut(BaseModel):
    """How a screener's scores did on the year that it had not seen."""

    sessions: int | None = None
    rows: int | None = None
    auc: float | None = None
    rank_ic: float | None = None
    rank_ic_t: float | None = None
    decile_spread_gross: float | None = None
    decile_spread_net: float | None = None


class TenthOut(BaseModel):
    """One tenth of the scores, lowest first: what was said and what came of it."""

    score: float
    beat_share: float = Field(description="Share that beat the median stock.")
    forward_return: float = Field(description="Mean return over the label's span.")


class ImportanceOut(BaseModel):
    """How much a model uses a feature."""

    feature: str
    importance: float


class VersionDetailOut(VersionOut):
    """One version with its parameters and everything that was measured of it."""

    name: str
    kind: str
    strategy: str
    quality: QualityOut | None = Field(description="Of a screener; null of an allocator.")
    calibration: list[TenthOut] = Field(description="Of a screener, by tenth of its scores.")
    importance: list[ImportanceOut] = Field(description="Most used first; of a screener.")
    parameters: dict[str, Any]
    metrics: dict[str, Any] = Field(description="Everything else that was measured, as stored.")
    mlflow_url: str | None

    @classmethod
    def build(cls, model: ModelVersion, portrait: Any, mlflow_url: str | None) -> Self:
        """From the stored row and its portrait."""
        measured = dict(model.metrics)
        importance = measured.pop("importance", None) or {}
        tenths = measured.pop("calibration", None) or []
        quality = {name: measured.pop(name, None) for name in QualityOut.model_fields}
        return cls(
            **VersionOut.model_validate(portrait).model_dump(),
            name=model.name,
            kind=model.kind,
            strategy=model.strategy,
            quality=QualityOut(**quality) if model.kind == "screener" else None,
            calibration=[
                TenthOut(score=score, beat_share=share, forward_return=forward) for score, share, forward in tenths
            ],
            importance=[
                ImportanceOut(feature=name, importance=value)
                for name, value in sorted(importance.items(), key=lambda pair: (-pair[1], pair[0]))
            ],
            parameters=model.manifest.get("parameters") or model.manifest.get("training") or {},
            metrics=measured,
            mlflow_url=mlflow_url,
        )


class FoldImportanceOut(BaseModel):
    """One feature's importance in each fold, parallel to `folds`; null where the fold does not use it."""

    feature: str
    mean: float
    by_fold: list[float | None]


class ImportancesOut(BaseModel):
    """Which features the folds of a model use, those used most on average first."""

    name: str
    folds: list[date] = Field(description="First day of service of each fold, rising.")
    versions: list[int] = Field(description="Version of each fold.")
    features: list[FoldImportanceOut]


class ReturnSeriesOut(BaseModel):
    """Daily simple returns of one series; both lists are parallel."""

    series: str
    sessions: list[date]
    returns: list[float]


class ReturnsOut(BaseModel):
    """Returns for a chart, with what they rest on."""

    name: str
    version: int
    hypothetical: Literal[True] = True
    basis: str
    items: list[ReturnSeriesOut]


class MeasureOut(BaseModel):
    """One measure of drift over sessions, in columns."""

    measure: str
    threshold: float | None = Field(description="What the newest value is held against.")
    summary: str = Field(description="The newest reading in a sentence.")
    sessions: list[date]
    values: list[float | None]
    p_values: list[float | None]
    alarms: list[bool]


class ModelDriftOut(BaseModel):
    """A model's drift readings over a stretch of sessions."""

    name: str
    from_on: date
    to_on: date
    state: DriftStateOut
    measures: list[MeasureOut]


class FeatureDriftOut(_Row):
    """One feature on the newest session that was read."""

    subject: str
    measure: str
    value: float | None
    threshold: float | None
    p_value: float | None
    is_alarm: bool
    summary: str


class DriftOverviewOut(BaseModel):
    """What has drifted as of a date."""

    as_of: date
    read_on: date | None = Field(description="The newest session that was read; null before the first.")
    features: int = Field(description="Features that were read.")
    drifted: list[FeatureDriftOut]
    models: list[FeatureDriftOut] = Field(description="Readings of models that alarmed on that session.")


class AlertOut(_Row):
    """Something that somebody should look at."""

    alert_id: int
    severity: str
    subject: str
    text: str
    details: dict[str, Any]
    times: int = Field(description="How often it came back.")
    created_at: datetime
    last_at: datetime
    settled_at: datetime | None


class ComparisonOut(BaseModel):
    """Two versions side by side."""

    name: str
    as_of: date
    versions: list[VersionOut]
