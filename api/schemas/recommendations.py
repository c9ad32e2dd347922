"""Recommendations: proposed trades, why they are proposed, and what is decided about them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator

from api.schemas.figures import Dollars, Fraction, PriceUsd, Shares
from api.schemas.practice import Given, Name, Number, Read

Side = Literal["buy", "sell"]
RecommendationStatus = Literal["proposed", "refused", "approved", "rejected", "expired"]
Text = dict[str, Any]


class RecommendationOut(Read):
    """One proposed trade. Amounts are at the reference price, the close of its night."""

    recommendation_id: int
    account_id: int
    account: str
    client_id: int
    client: str
    instrument_id: int
    symbol: str = Field(examples=["AAPL"])
    company: str
    sector: str | None
    strategy: str = Field(examples=["momentum_largecap"])
    session_on: date = Field(description="The night that proposed it; it is meant for the next open.")
    side: Side
    quantity: Shares = Field(description="Whole shares.")
    proposed_quantity: Shares | None = Field(description="What the night proposed, where a person set another.")
    reference_price: PriceUsd
    value_usd: Dollars
    weight_before: Fraction
    weight_after: Fraction
    reason: str
    status: RecommendationStatus = Field(
        description="`refused` by a rule, `expired` once its open is over; only `proposed` ones can be decided."
    )
    refused_by: list[str] = Field(description="Rules that objected on the night.")
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None = Field(description="Why it was rejected.")
    expires_at: datetime | None = Field(
        description="From then on it is void. Null: only the book's next night makes it void (a night of the past)."
    )
    created_at: datetime
    order_id: int | None
    order_state: str | None


class Objection(Read):
    """Why a recommendation cannot be approved now."""

    recommendation_id: int
    rule: str = Field(examples=["kill_switch", "cash_floor", "undecidable"])
    reason: str


class Gain(Read):
    """Gains that sales would realise by the open lots, oldest first; losses are negative."""

    short_term_usd: Dollars
    long_term_usd: Dollars = Field(description="Of shares held for more than a year.")


class Driver(Read):
    """One thing that the regime was read from."""

    name: str
    value: float | None
    sentence: str | None


class RegimeWhy(Read):
    """The market that night."""

    detector: str
    label: str
    raw_label: str
    probabilities: dict[str, float]
    drivers: list[Driver]
    others: dict[str, str] = Field(description="What the other detectors said.")
    detector_version: str
    data_vintage: Text


class StrategyCandidate(Read):
    """How one strategy compared."""

    strategy: str
    is_available: bool | None
    refusal: str | None
    affinity: float | None = Field(description="How well the regime suits it, 0 to 1.")
    realised: Any = Field(description="Its recent performance, where enough of it is known.")
    worth: float | None


class StrategyWhy(Read):
    """Which strategy the account follows, and why."""

    name: str
    reason: str
    chosen: str | None = Field(description="The night's choice for everybody; an account may prefer another.")
    chosen_reason: str | None
    candidates: list[StrategyCandidate]


class Contribution(Read):
    """One feature's part in the score."""

    feature: str
    value: float | None = Field(description="The stock's value, kept for the weightiest features.")
    contribution: float = Field(description="SHAP value of a model, or the term of the plain rule.")
    share: float = Field(description="Of the sum of absolute contributions.")
    text: str | None


class ScoreWhy(Read):
    """What the screener thinks of the stock."""

    scored_by: Literal["model", "rule"]
    scored_by_reason: str
    rank: int | None = Field(description="Null: the screen no longer names the stock, which is why it is sold.")
    score: float | None
    base: float | None
    margin: float | None
    note: str | None
    scored_count: int
    eligible_count: int
    contributions: list[Contribution]


class GateWhy(Read):
    """The promotion gate's word that counted on the night."""

    as_of: date
    verdict: Literal["pass", "fail", "not_proven"]
    sentence: str
    trials: int
    checks: list[dict[str, str | None]]


class ModelWhy(Read):
    """A model version as it was on the night."""

    model_version_id: int
    name: str
    version: int
    algorithm: str
    train_from_on: date
    train_to_on: date
    valid_from_on: date
    valid_to_on: date
    artefact_sha256: str
    code_commit: str
    aliases: list[Literal["champion", "challenger"]]
    gate: GateWhy | None


class AllocationWhy(Read):
    """The weight before any client's mandate."""

    allocator: str
    reason: str
    weight: Fraction
    cash_weight: Fraction
    model: ModelWhy | None


class Adjustment(Read):
    """What the mandate changed."""

    kind: str
    before: Any
    after: Any
    reason: str


class TargetWhy(Read):
    """The weight under the client's mandate."""

    weight: Fraction
    cash_weight: Fraction
    adjustments: list[Adjustment]
    mandate: Text | None


class RuleWhy(Read):
    """One pre-trade rule's verdict."""

    rule: str
    passed: bool
    measured: str
    allowed: str
    reason: str


class NightWhy(Read):
    """Which run and code decided, from which data."""

    runs: list[Text]
    features: Text | None


class Why(Read):
    """Everything behind a recommendation, in the order in which it was decided; null where there is no such link."""

    regime: RegimeWhy | None
    strategy: StrategyWhy | None
    score: ScoreWhy | None
    screener: ModelWhy | None = Field(description="The model that scored; null where the plain rule did.")
    rule: Text | None = Field(description="The plain rule, with the reason why no model scored.")
    allocation: AllocationWhy | None
    target: TargetWhy | None
    rules: list[RuleWhy]
    order: Text | None
    night: NightWhy


class RecommendationShown(RecommendationOut):
    """One proposed trade with estimates, what stands in its way now, and the whole why."""

    cost_usd: Dollars | None = Field(description="Estimate: half the spread, impact and commission.")
    gain: Gain
    tax_usd_max: Dollars = Field(
        description="The most that may be due: highest federal rates, no state; 0 in accounts that are not taxable."
    )
    objections: list[Objection] = Field(description="Why it cannot be approved alone, as the account stands now.")
    why: Why


class Effect(Read):
    """What approving would do to one account; null where its value cannot be known."""

    account_id: int
    account: str
    client_id: int
    client: str
    recommendation_ids: list[int]
    buys: int
    sells: int
    buy_usd: Dollars
    sell_usd: Dollars
    cost_usd: Dollars
    gain: Gain
    tax_usd_max: Dollars
    value_usd: Dollars | None
    cash_usd_before: Dollars | None
    cash_usd_after: Dollars | None
    cash_weight_before: Fraction | None
    cash_weight_after: Fraction | None
    turnover: Fraction | None = Field(description="Both sides, as a share of the account.")
    objections: list[Objection] = Field(description="Any objection keeps the whole account from being approved.")


class Filter(Given):
    """Which of the proposed ones; what is left out narrows nothing."""

    client_id: Number | None = None
    account_id: Number | None = None
    session_on: date | None = None
    side: Side | None = None
    strategy: Name | None = None
    symbol: Name | None = None


class Selection(Given):
    """Recommendations of one night, by number or by filter."""

    recommendation_ids: list[Number] | None = Field(default=None, min_length=1, max_length=2000)
    filter: Filter | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Selection":
        if (self.recommendation_ids is None) == (self.filter is None):
            raise ValueError("give recommendation_ids or a filter, and not both")
        return self


class Preview(Read):
    """What an approval would do, before anything is done."""

    fingerprint: str = Field(description="Send it back with the approval: another choice by then is refused.")
    recommendation_ids: list[int]
    accounts: list[Effect]
    approvable: int = Field(description="Recommendations of accounts without any objection.")
    buy_usd: Dollars
    sell_usd: Dollars
    cost_usd: Dollars
    tax_usd_max: Dollars


class ManyApprovals(Selection):
    """The choice to approve."""

    fingerprint: str | None = Field(default=None, max_length=64, description="Of the preview that was looked at.")


class AccountRefused(Read):
    """An account of which nothing was approved."""

    account_id: int
    client: str
    objections: list[Objection]


class ApprovalOut(Read):
    """What was approved. The orders are made; the job sends them."""

    job_id: int
    order_ids: list[int]
    recommendation_ids: list[int]
    refused: list[AccountRefused]


class QuantityChange(Given):
    """Another quantity."""

    quantity: Decimal = Field(gt=0, max_digits=14, decimal_places=0, description="Whole shares.", examples=["120"])


class Rejections(Given):
    """A no to several."""

    recommendation_ids: list[Number] = Field(min_length=1, max_length=2000)
    reason: Name = Field(examples=["the client sells her house first"])


class Rejected(Read):
    """How many it was said to."""

    rejected: int
