"""Contract of a pre-trade rule: it looks at an account's whole basket and judges each proposal in it."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from core.money import ZERO

COST_RESERVE = Decimal("0.001")
"""Share of a trade that rules on cash set aside for its costs."""


@dataclass(frozen=True)
class Proposal:
    """One recommendation as the rules see it; `value_usd` is quantity times reference price."""

    recommendation_id: int
    instrument_id: int
    symbol: str
    sector: str | None
    side: str
    quantity: Decimal
    price: Decimal
    value_usd: Decimal


@dataclass(frozen=True)
class PriceFacts:
    """What is known of an instrument's price on the night."""

    price_on: date
    close: Decimal
    previous_close: Decimal | None
    average_volume: Decimal


@dataclass(frozen=True)
class Limits:
    """The account's mandate, as fractions of its value."""

    cash_weight_min: Decimal
    position_weight_max: Decimal
    sector_weight_max: Decimal
    turnover_max: Decimal


@dataclass
class Basket:
    """All proposals of one account and night, sales first, with what the rules need to know.

    `standing` are the proposals that no rule has refused so far; a rule that adds up (cash, sectors, turnover) counts
    only those, so a buy whose cash was to come from a refused sale fails in its turn. `stopped_by` is the kill switch
    that is on, in a sentence; `traded_usd` what the night has traded already.
    """

    as_of: date
    executes_on: date | None
    status: str
    status_reason: str | None
    cash_usd: Decimal
    reserved_usd: Decimal
    value_usd: Decimal
    holdings: Mapping[int, Decimal]
    prices: Mapping[int, PriceFacts]
    sectors: Mapping[int, str | None]
    restricted: Mapping[int, str]
    limits: Limits
    proposals: tuple[Proposal, ...]
    stopped_by: str | None = None
    traded_usd: Decimal = ZERO
    standing: Set[int] = field(default_factory=frozenset)

    def holding_usd(self, instrument_id: int) -> Decimal:
        """What is held of an instrument, at its last close."""
        facts = self.prices.get(instrument_id)
        return ZERO if facts is None else self.holdings.get(instrument_id, ZERO) * facts.close


@dataclass(frozen=True)
class Verdict:
    """What a rule measured against what it allows; `reason` says it in words."""

    passed: bool
    measured: str
    allowed: str
    reason: str


RiskRule = Callable[[Basket], list[Verdict]]
"""Judges every proposal of the basket, in the basket's order."""
