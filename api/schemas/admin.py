"""How the machinery stands, how it is set, and who did what."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["good", "watch", "bad", "unknown"]


class AuditOut(BaseModel):
    """One change, with the state before and after it, or one look (action `look`) at a client's data."""

    model_config = ConfigDict(from_attributes=True)

    audit_id: int = Field(examples=[4711])
    at: datetime
    actor: str = Field(
        description="Who: an e-mail address, or the part of the platform.", examples=["ada@firm.example"]
    )
    action: str = Field(examples=["approve"])
    subject: str = Field(description="What kind of thing.", examples=["recommendation"])
    subject_id: str = Field(description="Which one.", examples=["118"])
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    address: str | None = Field(description="Where the request came from.", examples=["192.0.2.7"])
    seal_id: int | None = Field(description="Its place in the chain; null until it is sealed, some seconds later.")


class BadRowOut(BaseModel):
    """Where the chain first breaks."""

    model_config = ConfigDict(from_attributes=True)

    seal_id: int | None
    audit_id: int | None = Field(description="The row; null where it is gone and nothing tells which it was.")
    reason: str


class VerificationOut(BaseModel):
    """What a look along the chain found."""

    model_config = ConfigDict(from_attributes=True)

    sealed: int = Field(description="Rows that are sealed.")
    waiting: int = Field(description="Rows that wait for their seal.")
    checked: int = Field(description="Seals that were recomputed, the newest ones.")
    anchors: int = Field(
        description="Anchors outside the database that were met; 0: a tail cut off was not looked for."
    )
    bad: BadRowOut | None = Field(description="The first bad row; null where none is.")


class SettingOut(BaseModel):
    """One setting in force."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="The environment variable that sets it.", examples=["ACIS_API_PORT"])
    value: str | None = Field(description="Masked where it is a secret; of an address only where it points to.")
    source: Literal["environment", ".env", "default"]
    is_secret: bool
    description: str | None


class PartOut(BaseModel):
    """One part of the machinery."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["dispatcher"])
    state: State = Field(description="`unknown` where nothing tells how it is.")
    detail: str = Field(examples=["silent for 45 s: nothing that is asked for begins, nothing that is due is raised"])
    figures: dict[str, Any] = Field(description="The numbers behind it.")


class SystemHealthOut(BaseModel):
    """Every part, and the worst of their states."""

    state: State
    at: datetime
    parts: list[PartOut]


class NightStepOut(BaseModel):
    """One step of a night."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["scores"])
    state: Literal["done", "running", "failed", "waiting", "not run"]
    seconds: float | None = Field(description="Null until it is done.")


class NightOut(BaseModel):
    """One night of the firm's own book."""

    run_id: int
    as_of: date
    status: Literal["running", "succeeded", "failed"]
    attempt: int
    error: str | None
    code_commit: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float = Field(description="Of the steps that are done.")
    counts: dict[str, Any] = Field(description="Orders, fills, refusals and the like; empty until it is over.")
    steps: list[NightStepOut]


class OpenWorkOut(BaseModel):
    """One job that runs or waits."""

    model_config = ConfigDict(from_attributes=True)

    job_id: int
    name: str
    status: Literal["queued", "running"]
    actor: str
    due_on: date | None
    attempt: int
    percent: float | None
    step: str | None
    created_at: datetime
    started_at: datetime | None


class WaitingOut(BaseModel):
    """What waits in the firm's own book."""

    recommendations: int = Field(description="Proposed, and nobody has decided.")
    orders_open: int = Field(description="Not filled yet, nor over.")
    orders_unknown: int = Field(description="Whose outcome nobody knows.")
    accounts_halted: int


class PipelineOut(BaseModel):
    """How far the newest nights came, what runs, and what waits."""

    nights: list[NightOut]
    work: list[OpenWorkOut]
    waiting: WaitingOut
