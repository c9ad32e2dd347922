"""Back-tests and replays: what is asked, what it will take, what came of it. All of it is hypothetical."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.figures import Dollars, Figure, Fraction
from core.jobs import Replay, RunBacktest
from registry.backtests import Plan

FIRST_ON, LAST_ON = date(1990, 1, 1), date(2040, 12, 31)
Day = Annotated[date, Field(ge=FIRST_ON, le=LAST_ON)]
Title = Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Optimiser = Literal["equal_weight", "inverse_volatility", "minimum_variance", "maximum_sharpe", "risk_parity", "hrp"]
Scores = Literal["out_of_fold", "served", "plain_rule"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title = Field(default=None, description="Without one it is called by what it is.")
    from_on: Day = Field(examples=["2012-01-03"])
    to_on: Day = Field(examples=["2017-06-30"])


class BacktestRequest(_Request):
    """A fast back-test of one strategy on stored scores."""

    kind: Literal["backtest"]
    strategy: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9_]+$", examples=["momentum_largecap"])]
    scores: Scores = Field(
        default="out_of_fold",
        description="out_of_fold: what the yearly folds said of weeks that they had not seen; served: the nights' own"
        " screens; plain_rule: the rule that serves while no model may.",
    )
    optimiser: Optimiser = "equal_weight"
    rebalance_sessions: int = Field(default=5, ge=1, le=252, description="Sessions between decisions, at least.")
    stocks: int = Field(default=50, ge=5, le=100, description="How many of the best are held.")
    position_weight_max: Fraction = Field(default=Decimal("0.10"), gt=0, le=1, max_digits=9, decimal_places=8)
    cost_multiple: Figure = Field(
        default=Decimal(1), ge=0, le=10, max_digits=6, decimal_places=4, description="Times the standard costs."
    )
    cash_usd: Dollars = Field(default=Decimal(1_000_000), ge=10_000, le=1_000_000_000, max_digits=12, decimal_places=2)

    def job(self) -> RunBacktest:
        """The job that does it."""
        return RunBacktest(
            strategy=self.strategy,
            scores=self.scores,
            optimiser=self.optimiser,
            from_on=self.from_on,
            to_on=self.to_on,
            rebalance_sessions=self.rebalance_sessions,
            stocks=self.stocks,
            position_weight_max=float(self.position_weight_max),
            cost_multiple=float(self.cost_multiple),
            cash_usd=float(self.cash_usd),
        )


class ReplayRequest(_Request):
    """Every night of a stretch, on copies of the paper accounts. For those who train models: it takes hours."""

    kind: Literal["replay"]

    def job(self) -> Replay:
        """The job that does it."""
        return Replay(from_on=self.from_on, to_on=self.to_on)


Request = Annotated[BacktestRequest | ReplayRequest, Field(discriminator="kind")]


class EstimateOut(BaseModel):
    """What a back-test would be."""

    sessions: int
    decisions: int
    seconds: float = Field(description="About; on two cores, once it is its turn.")
    data_from_on: date | None
    data_to_on: date | None
    notes: list[str]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """From the registry's plan."""
        return cls(
            sessions=plan.sessions,
            decisions=plan.decisions,
            seconds=plan.seconds,
            data_from_on=plan.data.first_on,
            data_to_on=plan.data.last_on,
            notes=list(plan.notes),
        )


class RegimeSpanOut(BaseModel):
    """From when to when a kind of scores can be tested on; null where there is nothing."""

    scores: Scores
    from_on: date | None
    to_on: date | None


class StrategyOptionOut(BaseModel):
    """What a strategy can be tested on."""

    strategy: str
    label: str
    spans: list[RegimeSpanOut]


class OptionsOut(BaseModel):
    """What may be asked."""

    strategies: list[StrategyOptionOut]
    optimisers: list[str]
    years_max: int
    sessions_min: int
    replay_sessions_max: int


class BacktestOut(BaseModel):
    """One back-test: what was asked, how its job stands, and its measures once they are there."""

    backtest_id: int
    hypothetical: Literal[True] = True
    kind: str = Field(description="backtest or replay")
    title: str
    job_id: int
    status: str = Field(description="queued, running, succeeded, refused, failed or cancelled")
    percent: Figure | None
    step: str | None
    error: str | None
    parameters: dict[str, Any]
    measures: dict[str, Any] | None = Field(
        description="Null until it has succeeded. Fractions; what is annualised is null below a year. Beside them the"
        " period, costs, trials, the gate's verdict and caveats. Months are in `months`."
    )
    created_by: str
    created_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """From a row of `database.queries.backtests`."""
        parameters = dict(row.parameters)
        return cls(
            backtest_id=row.backtest_id,
            kind=parameters.pop("kind", "backtest"),
            title=row.title,
            job_id=row.job_id,
            status=row.status,
            percent=row.percent,
            step=row.step,
            error=row.error,
            parameters=parameters,
            measures=row.measures,
            created_by=row.created_by,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )


class DailyOut(BaseModel):
    """Daily columns, every list parallel to `sessions`; portfolio, universe and index begin at one."""

    backtest_id: int
    hypothetical: Literal[True] = True
    sessions: list[date]
    portfolio: list[float]
    universe: list[float] = Field(default=[], description="The universe bought the same way; not of a replay.")
    index: list[float | None] = []
    drawdown: list[float] = []
    rolling_sharpe: list[float | None] = Field(default=[], description="Of the last 63 sessions, a year's.")
    turnover: list[float] = []
    costs_usd: list[float] = []
    regimes: list[str | None] = []
    strategies: list[str | None] = Field(default=[], description="Of a replay: the strategy of each night.")


class ChangeOut(BaseModel):
    """One change of a holding: decided at a close, filled at the next open."""

    decided_on: date
    filled_on: date
    symbol: str
    side: str | None = Field(default=None, description="Of a replay: buy or sell.")
    weight_before: float | None = Field(default=None, description="Aimed at before; weights drift with prices.")
    weight_after: float | None = None
    price_usd: float | None = Field(description="The open that it was filled at, or the mean price of a replay.")


class ComparedOut(BaseModel):
    """One of several back-tests side by side."""

    backtest: BacktestOut
    daily: DailyOut | None
