"""How this service stands."""

from typing import Literal

from pydantic import BaseModel, Field


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Readiness(BaseModel):
    """Whether requests may be sent here."""

    status: Literal["ready", "not ready"]
    reasons: list[str] = Field(description="Why not; empty when ready.")
    redis: Literal["up", "down"] = Field(description="Not needed to be ready.")


class Release(BaseModel):
    """Which code answers."""

    release: str = Field(examples=["0.1.0"])
    commit: str = Field(examples=["3f2c9a1b7d10"])
