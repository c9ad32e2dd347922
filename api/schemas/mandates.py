"""Mandates and restrictions."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.figures import Dollars, Figure, Fraction
from api.schemas.practice import Given, Name, Read

Share = Annotated[Decimal, Field(ge=0, le=1, max_digits=12, decimal_places=8, examples=["0.05"])]


class LimitsOut(Read):
    """The limits of a mandate; weights are fractions of the account's value."""

    cash_weight_min: Fraction
    position_weight_max: Fraction
    sector_weight_max: Fraction
    drift_threshold: Fraction = Field(description="A holding closer to its target than this is left alone.")
    turnover_max: Fraction = Field(description="Of one night, both sides counted.")
    trade_usd_min: Dollars = Field(description="Smaller trades are not worth their costs.")
    preferred_strategy: str | None = Field(description="null: the regime decides.")


class MandateOut(LimitsOut):
    """One version of an account's mandate."""

    account_id: int
    version: int
    effective_on: date
    created_at: datetime


class LimitsChange(Given):
    """Limits to change; those left out stay."""

    cash_weight_min: Share = Field(default_factory=Decimal)
    position_weight_max: Share = Field(default_factory=Decimal)
    sector_weight_max: Share = Field(default_factory=Decimal)
    drift_threshold: Share = Field(default_factory=Decimal)
    turnover_max: Annotated[Decimal, Field(gt=0, le=100, max_digits=12, decimal_places=8)] = Field(
        default_factory=Decimal
    )
    trade_usd_min: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)] = Field(default_factory=Decimal)
    preferred_strategy: Annotated[str, StringConstraints(max_length=32)] | None = Field(
        default=None, description="A strategy's name; null: the regime decides."
    )

    def changes(self) -> Mapping[str, Any]:
        """The limits that were given."""
        return self.model_dump(exclude_unset=True)


class MandateChange(LimitsChange):
    """A new version of the mandate."""

    effective_on: date | None = Field(default=None, description="The practice's present session, unless given.")

    def changes(self) -> Mapping[str, Any]:
        """The limits that were given."""
        return self.model_dump(exclude_unset=True, exclude={"effective_on"})


class BreachOut(Read):
    """A limit that the account does not keep now."""

    limit: Literal["cash_weight_min", "position_weight_max", "sector_weight_max", "restriction"]
    subject: str = Field(description="The stock's ticker, the sector, or cash.")
    measured: Figure = Field(description="Its weight.")
    allowed: Figure
    sentence: str


class MandatePreview(Read):
    """What a change would mean for the account as it stands."""

    version: int = Field(
        description="The number that the new version would get; the present one where nothing changes."
    )
    limits: LimitsOut
    is_change: bool
    breaches_now: list[BreachOut]
    breaches_then: list[BreachOut]
    priced_on: date


class RestrictionOut(Read):
    """Something that the account must not hold."""

    kind: Literal["ticker", "sector", "esg"]
    value: str
    reason: str | None
    created_at: datetime


class RestrictionIn(Given):
    """Something that the account must not hold from tonight on; what it holds of it is sold on the next night."""

    kind: Literal["ticker", "sector", "esg"]
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    reason: Name | None = None


class ChoicesOut(Read):
    """What may be restricted; tickers are found by searching the instruments."""

    sectors: list[str]
    esg_flags: list[str]


class FlagsOut(Read):
    """What an upload of ESG flags changed."""

    source: str
    added: int
    removed: int
    unknown_symbols: list[str]
