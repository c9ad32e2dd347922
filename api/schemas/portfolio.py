"""Portfolios: holdings, allocation, lots, performance, drift, health. Money and weights are decimal text."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.schemas.figures import Dollars, Fraction, PriceUsd, Shares

Ratio = Annotated[float, AfterValidator(lambda value: round(value, 8))]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class SubjectOut(_Out):
    """Whose portfolio, as of when."""

    kind: Literal["account", "client", "household", "practice"]
    id: int | None
    name: str | None
    household_id: int | None = None
    household: str | None = None
    client_id: int | None = None
    client: str | None = None
    risk_tolerance: str | None = None
    as_of: date = Field(description="Prices are the closes of this session.")
    is_now: bool = Field(description="True where later bookings (fills of tonight's orders) count too.")


class HoldingOut(_Out):
    """One stock. Without a price its value is null and the totals leave it out."""

    instrument_id: int
    symbol: str = Field(examples=["AAPL"])
    name: str
    sector: str | None
    quantity: Shares
    price: PriceUsd | None
    price_on: date | None = Field(description="The session of the price.")
    is_stale: bool = Field(description="The price is older than the market's newest session.")
    value_usd: Dollars | None
    weight: Fraction | None = Field(description="Fraction of the total with cash.")
    target_weight: Fraction | None
    cost_usd: Dollars
    gain_usd: Dollars | None = Field(description="Unrealised, before taxes.")
    gain: Fraction | None = Field(description="Unrealised gain as a fraction of cost.")
    day_change_usd: Dollars | None
    day_change: Fraction | None
    lots: int
    restriction: str | None = Field(description="What forbids the stock, where something does.")
    rank: int | None = Field(description="Place in the screen of the account's strategy; null below the 100 best.")
    bought_after: Shares = Field(description="Shares among `quantity` that were bought after the session of the price.")


class TotalsOut(_Out):
    """What the holdings come to."""

    value_usd: Dollars
    securities_usd: Dollars
    cash_usd: Dollars
    cash_weight: Fraction | None
    cash_target: Fraction | None
    cost_usd: Dollars
    gain_usd: Dollars
    is_partial: bool = Field(description="Some holdings have no price and are left out of every total.")
    missing: list[str] = Field(description="Symbols without a price.")
    stale: list[str] = Field(description="Symbols with an old price.")


class HoldingsOut(_Out):
    """What is held, largest first."""

    subject: SubjectOut
    totals: TotalsOut
    holdings: list[HoldingOut]


class SliceOut(_Out):
    """One part of the whole."""

    name: str
    value_usd: Dollars
    weight: Fraction | None
    target_weight: Fraction | None
    holdings: int


class AllocationOut(_Out):
    """Where the money is; each list ends with cash."""

    subject: SubjectOut
    totals: TotalsOut
    sectors: list[SliceOut]
    strategies: list[SliceOut]


class LotOut(_Out):
    """A lot that is open, or the part of one that a sale closed."""

    lot_id: int
    account_id: int
    account: str | None
    taxation: str | None
    instrument_id: int
    symbol: str
    name: str
    status: Literal["open", "closed"]
    opened_on: date
    closed_on: date | None
    quantity: Shares
    cost_usd: Dollars
    worth_usd: Dollars | None = Field(description="Value of an open lot at the last close, proceeds of a closed one.")
    gain_usd: Dollars | None
    term: Literal["short", "long"] = Field(description="Long: held for more than a year.")
    days_held: int
    long_from_on: date


class GainsOut(_Out):
    """Gains less losses by term."""

    short_usd: Dollars
    long_usd: Dollars
    is_partial: bool


class LotsOut(_Out):
    """Lots of one status."""

    subject: SubjectOut
    status: Literal["open", "closed"]
    year: int | None
    gains: GainsOut
    lots: list[LotOut]


class PeriodOut(_Out):
    """Fractions over the whole period; what is null has its reason in `notes`."""

    name: str = Field(examples=["year_to_date"])
    from_on: date | None
    to_on: date | None
    sessions: int
    is_partial: bool = Field(description="The account is younger than the period.")
    time_weighted: Ratio | None
    money_weighted: Ratio | None
    benchmark: Ratio | None
    difference: Ratio | None = Field(description="Time-weighted return less the benchmark's.")
    equal_weight: Ratio | None = Field(description="The index's members in equal weights, without costs.")
    annual_time_weighted: Ratio | None
    annual_money_weighted: Ratio | None
    annual_benchmark: Ratio | None
    deposits_usd: Dollars
    withdrawals_usd: Dollars
    gain_usd: Dollars | None
    notes: list[str]


class RiskOut(_Out):
    """Since the first close."""

    daily_volatility: Ratio | None
    annual_volatility: Ratio | None
    sharpe: Ratio | None
    tracking_error: Ratio | None
    drawdown_max: Ratio | None
    drawdown_from_on: date | None
    drawdown_trough_on: date | None
    drawdown_recovered_on: date | None
    drawdown_now: Ratio | None
    notes: list[str]


class MonthOut(_Out):
    """One month's time-weighted return."""

    year: int
    month: int
    time_weighted: Ratio
    benchmark: Ratio | None
    is_partial: bool


class ValueSeriesOut(_Out):
    """Parallel lists for charts, an entry a close. `index`, `benchmark` and `equal_weight` begin at 1."""

    on: list[date]
    value_usd: list[float]
    cash_usd: list[float]
    index: list[Ratio]
    benchmark: list[Ratio | None]
    equal_weight: list[Ratio | None]
    drawdown: list[Ratio]


class FlowOut(_Out):
    """Money or shares that came in (positive) or went out."""

    account_id: int
    booked_on: date
    kind: str
    amount_usd: Dollars


class PerformanceOut(_Out):
    """How it went, by period, with the path and what flowed."""

    subject: SubjectOut
    basis: list[str] = Field(description="The conventions behind the figures.")
    periods: list[PeriodOut]
    risk: RiskOut
    months: list[MonthOut]
    series: ValueSeriesOut
    flows: list[FlowOut]


class DriftTradeOut(_Out):
    """Whole shares at the last price."""

    instrument_id: int
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Shares
    value_usd: Dollars


class DriftGapOut(_Out):
    """One stock's actual weight less its target."""

    instrument_id: int
    symbol: str
    name: str
    weight: Fraction
    target_weight: Fraction
    difference: Fraction
    is_off: bool
    trade: DriftTradeOut | None


class AccountDriftOut(_Out):
    """One account's distance from its newest target."""

    account_id: int
    account: str | None
    value_usd: Dollars
    target_on: date | None
    strategy: str | None
    threshold: Fraction | None
    total: Fraction | None = Field(description="Half the sum of absolute differences, cash included.")
    cash_weight: Fraction | None
    cash_target: Fraction | None
    cash_difference: Fraction | None
    off_count: int | None
    gaps: list[DriftGapOut]
    trades: list[DriftTradeOut] = Field(
        description="What would remove the drift, sales first; before the night's rules."
    )
    why: str | None


class DriftOut(_Out):
    """Drift by account, and of all together weighted with their values."""

    subject: SubjectOut
    total: Fraction | None
    off_count: int | None
    accounts: list[AccountDriftOut]


class ComponentOut(_Out):
    """One part of the health score."""

    name: str = Field(examples=["concentration"])
    score: float | None = Field(description="0 to 100; null where it is not known, and then left out of the weighting.")
    weight: int
    measured: str
    bar: str
    sentence: str


class ImprovementOut(_Out):
    """Something that would help, with the points that the whole score would gain."""

    component: str
    account_id: int
    text: str = Field(examples=["Sell about 120 shares of AAPL: 9.1% of the account, at most 8.0% by the mandate"])
    points: float
    score_after: float
    trades: list[tuple[str, float]] = Field(description="Symbol and signed shares.")


class HealthOut(_Out):
    """The health score, 0 to 100."""

    subject: SubjectOut
    score: float | None
    why: str | None
    components: list[ComponentOut]
    steps: list[ImprovementOut]


class PeersOut(_Out):
    """A client's place in the firm, from five peers on."""

    client_id: int
    peers: int | None
    below: float | None = Field(description="Share of the peers with a lower score, to five percent.")
    why: str | None


class AccountSummaryOut(_Out):
    """One account."""

    account_id: int
    account: str | None
    client_id: int
    client: str
    status: str | None
    halted_reason: str | None
    taxation: str | None
    value_usd: Dollars
    is_partial: bool
    cash_usd: Dollars
    strategy: str | None
    drift: Fraction | None
    off_count: int | None
    health: float | None


class SummaryOut(_Out):
    """The head of a page: one call."""

    subject: SubjectOut
    totals: TotalsOut
    holdings: int
    day: PeriodOut
    year_to_date: PeriodOut
    inception: PeriodOut
    drift: Fraction | None
    off_count: int | None
    health: float | None
    health_why: str | None
    components: list[ComponentOut]
    accounts: list[AccountSummaryOut]
    notes: list[str]


class DriftClassOut(_Out):
    """Accounts by drift."""

    from_drift: Fraction
    to_drift: Fraction | None
    accounts: int


class PracticeOut(_Out):
    """The desk's home: sums over the clients that the caller may see."""

    as_of: date
    clients: int
    accounts: int
    value_usd: Dollars | None = Field(description="Null where no account's value is known.")
    cash_usd: Dollars | None
    day_change_usd: Dollars | None
    clients_off_plan: int
    accounts_drift_unknown: int
    halted_accounts: int
    unknown_accounts: int = Field(description="Accounts without a standing of this session: they are in no figure.")
    drift_classes: list[DriftClassOut]
    health_mean: Ratio | None
    periods: list[PeriodOut]
    series: ValueSeriesOut
