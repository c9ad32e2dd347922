"""Strategies: what each is, how it stands on a night, and which one was followed."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from database.tables.targets import StrategyChoice
from strategies.strategy import Strategy


class RealisedOut(BaseModel):
    """What the strategy's best-ranked stocks earned lately on paper, net of costs, beside the universe."""

    sessions: int
    total_return: float
    universe_return: float
    excess_return: float
    annual_volatility: float
    drawdown_max: float
    turnover: float
    costs_usd: float


class WeighedOut(BaseModel):
    """What the choice of a night rests on for one strategy."""

    strategy: str
    available: bool
    refusal: str | None = Field(description="Why it could not be followed that night.")
    affinity: float = Field(description="How well it suits the night's regime, 0 to 1.")
    realised: RealisedOut | None = Field(description="Null where nothing is known of its recent results.")
    worth: float = Field(description="Affinity and recent results together; the highest leads.")


class TonightOut(BaseModel):
    """How a strategy stood on the newest night."""

    session_on: date
    status: str = Field(description="scored or refused")
    reason: str | None = Field(description="Why it was refused.")
    source: str = Field(description="model or rule")
    source_reason: str = Field(description="Why that one scored.")
    model: str | None
    version: int | None
    allocator: str | None
    allocation_reason: str | None
    universe_count: int = Field(description="Members of the index with a price.")
    eligible_count: int = Field(description="Of these, stocks that pass the strategy's filter.")
    scored_count: int = Field(description="Best stocks kept.")

    @classmethod
    def of(cls, head: Any) -> Self:
        """From a row of `database.queries.screens.screen_heads`."""
        batch = head.ScoreBatch
        return cls(
            session_on=batch.session_on,
            status=batch.status,
            reason=batch.reason,
            source=batch.source,
            source_reason=batch.source_reason,
            model=head.model,
            version=head.version,
            allocator=head.allocator,
            allocation_reason=head.allocation_reason,
            universe_count=batch.universe_count,
            eligible_count=batch.eligible_count,
            scored_count=batch.scored_count,
        )


class StrategyOut(BaseModel):
    """One way to pick stocks, and how it stands."""

    name: str = Field(examples=["momentum_largecap"])
    label: str = Field(examples=["Momentum, large caps"])
    cap_band: str
    purpose: str
    affinity: dict[str, float] = Field(description="By regime, how well it suits, 0 to 1.")
    rule: list[str] = Field(
        description="Features that its plain rule ranks by, as its newest screen tells them; empty before the first."
    )
    tonight: TonightOut | None = Field(description="Null before the first night.")
    weighed: WeighedOut | None = Field(description="What the newest choice rests on; null before the first.")
    is_followed: bool = Field(description="Whether the newest choice is this one.")

    @classmethod
    def of(cls, strategy: Strategy, *, head: Any | None, rule: list[str], choice: StrategyChoice | None) -> Self:
        """One strategy beside its newest screen and the newest choice."""
        return cls(
            name=strategy.name,
            label=strategy.label,
            cap_band=strategy.cap_band,
            purpose=strategy.purpose,
            affinity=dict(strategy.affinity),
            rule=rule,
            tonight=None if head is None else TonightOut.of(head),
            weighed=next((one for one in weighed(choice) if one.strategy == strategy.name), None),
            is_followed=choice is not None and choice.strategy == strategy.name,
        )


class ChoiceOut(BaseModel):
    """Which strategy a session followed, and why."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    strategy: str
    regime: str
    reason: str


class IncumbentOut(BaseModel):
    """The strategy of the nights before."""

    strategy: str
    sessions: int
    regime: str


class ChoiceDetailOut(ChoiceOut):
    """The same with everything that it rests on."""

    probabilities: dict[str, float]
    incumbent: IncumbentOut | None
    weighed: list[WeighedOut] = Field(description="The most worthy first.")

    @classmethod
    def of(cls, choice: StrategyChoice) -> Self:
        """From the stored choice."""
        return cls(
            **ChoiceOut.model_validate(choice).model_dump(),
            probabilities=choice.evidence.get("probabilities", {}),
            incumbent=choice.evidence.get("incumbent"),
            weighed=weighed(choice),
        )


def weighed(choice: StrategyChoice | None) -> list[WeighedOut]:
    """What a choice rests on, the most worthy first."""
    told: Mapping[str, Mapping[str, Any]] = {} if choice is None else choice.evidence.get("strategies", {})
    rows = [WeighedOut(strategy=name, **finding) for name, finding in told.items()]
    return sorted(rows, key=lambda row: (-row.worth, row.strategy))
