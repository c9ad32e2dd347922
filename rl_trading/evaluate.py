"""Allocators judged side by side on decisions they have not learned from: same stocks, same costs, same simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median_low
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.stats import SESSIONS_A_YEAR, measure_performance
from rl_trading.artefact import Policy
from rl_trading.baselines import SIMPLE, past_returns, simple_weights
from rl_trading.dynamics import STANDARD_RULES, Portfolios, Rules
from rl_trading.observation import Scales
from rl_trading.windows import Decisions, Market, Recording, record

Floats = npt.NDArray[np.float64]
INDEX = "index"
PPO = "ppo"
# Judged on fewer weeks than this, a lead says nothing.
DECISIONS_MIN = 26
_YEAR_ENOUGH = 240


@dataclass(frozen=True)
class Result:
    """One allocator over one window; fractions. Nothing shorter than a year is annualised: those fields are None.

    `ratio` is the mean of daily returns over their deviation, the Sharpe ratio of a day. `turnover` is what was traded
    (buys plus sales) over the value, summed over the window without the first purchase; `costs` the spread, impact and
    commission paid, over the starting value. `effective_positions` is the mean of 1 / sum of the squared
    shares of what is invested.
    """

    allocator: str
    sessions: int
    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    ratio: float
    drawdown_max: float
    turnover: float
    costs: float
    cash_weight: float
    effective_positions: float


@dataclass(frozen=True)
class Judgement:
    """All allocators over one window of one strategy, in the order of the table; PPO as its median seed."""

    from_on: str
    to_on: str
    decisions: int
    results: tuple[Result, ...]
    seeds: tuple[Result, ...]
    median_seed: int | None

    def result(self, allocator: str) -> Result:
        """One line of the table."""
        return next(result for result in self.results if result.allocator == allocator)

    def to_json(self) -> dict[str, Any]:
        """For `model_versions.metrics`; numbers rounded to 1e-6."""
        return {
            "from_on": self.from_on,
            "to_on": self.to_on,
            "decisions": self.decisions,
            "median_seed": self.median_seed,
            "table": [_rounded(result) for result in self.results],
            "seeds": [_rounded(result) for result in self.seeds],
        }


def _rounded(result: Result) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(result).items()}


def judge(
    market: Market,
    decisions: Decisions,
    policies: Mapping[int, Policy],
    index_levels: Floats,
    *,
    scales: Scales,
    rules: Rules = STANDARD_RULES,
) -> Judgement | None:
    """Every simple allocator, every seed of the policy and the index over the decisions, from cash, net of costs.

    None where the decisions leave no window to judge. Gaps in the decisions are left out of the path.
    """
    recording = record(market, [decisions], scales)
    if not recording.segments:
        return None
    paths = [_follow(market, decisions, recording, segment, policies, rules) for segment in _spans(recording)]
    names = (*SIMPLE, *(f"{PPO}-{seed}" for seed in policies))
    results = {name: _measure(name, [path[place] for path in paths], rules) for place, name in enumerate(names)}
    seeds = {seed: results[f"{PPO}-{seed}"] for seed in policies}
    median = _median_seed(seeds)
    shown = [results[name] for name in SIMPLE]
    if median is not None:
        shown.insert(0, _named(seeds[median], PPO))
    index = _hold_index(decisions, recording, index_levels, rules)
    if index is not None:
        shown.append(index)
    last = recording.segments[-1].last
    return Judgement(
        from_on=str(market.sessions[decisions.session_index[recording.segments[0].first]]),
        to_on=str(market.sessions[decisions.session_index[last]]),
        decisions=sum(segment.last - segment.first for segment in recording.segments),
        results=tuple(shown),
        seeds=tuple(seeds.values()),
        median_seed=median,
    )


def _median_seed(seeds: Mapping[int, Result]) -> int | None:
    """The seed whose ratio is the median, the lower of two."""
    if not seeds:
        return None
    middle = median_low(result.ratio for result in seeds.values())
    return next(seed for seed, result in seeds.items() if result.ratio == middle)


def _named(result: Result, name: str) -> Result:
    return Result(**{**asdict(result), "allocator": name})


def _spans(recording: Recording) -> Sequence[tuple[int, int]]:
    return [(segment.first, segment.last) for segment in recording.segments]


@dataclass(frozen=True)
class _Path:
    """One allocator through one segment: values in cents from the start on, and sums over the steps."""

    values: npt.NDArray[np.int64]
    traded: float  # in multiples of the value, without the first purchase
    costs: float
    cash: tuple[float, ...]
    effective: tuple[float, ...]


def _follow(
    market: Market,
    decisions: Decisions,
    recording: Recording,
    span: tuple[int, int],
    policies: Mapping[int, Policy],
    rules: Rules,
) -> list[_Path]:
    first, last = span
    count = len(SIMPLE) + len(policies)
    portfolios = Portfolios(recording, count, rules)
    portfolios.start(np.arange(count), np.full(count, first))
    n = portfolios.stocks
    values: list[list[int]] = [[int(v)] for v in portfolios.state.value]
    traded, costs = np.zeros(count), np.zeros(count)
    cash: list[Floats] = []
    effective: list[Floats] = []
    for row in range(first, last):
        seen = portfolios.observe()
        weights = _all_weights(market, decisions, recording, row, policies, rules, seen)
        before = portfolios.state.value.copy()
        portfolios.step(weights)
        days = int(recording.tape.days[row])
        for e in range(count):
            values[e].extend(portfolios.outcome.values[e, :days].tolist())
        if row > first:
            traded += portfolios.outcome.traded / before
        costs += portfolios.outcome.costs
        cash.append(weights[:, n])
        effective.append(weights[:, :n].sum(axis=1) ** 2 / np.maximum((weights[:, :n] ** 2).sum(axis=1), 1e-12))
    return [
        _Path(
            values=np.array(values[e]),
            traded=float(traded[e]),
            costs=float(costs[e]),
            cash=tuple(float(c[e]) for c in cash),
            effective=tuple(float(c[e]) for c in effective),
        )
        for e in range(count)
    ]


def _all_weights(
    market: Market,
    decisions: Decisions,
    recording: Recording,
    row: int,
    policies: Mapping[int, Policy],
    rules: Rules,
    seen: npt.NDArray[np.float32],
) -> Floats:
    """(allocators, n + 1): the simple ones from past returns, the policies from what each of their portfolios sees."""
    mask = recording.tape.mask[row]
    n = len(mask)
    returns = past_returns(market.adj_close, int(decisions.session_index[row]), decisions.slots[row])
    weights = np.empty((len(SIMPLE) + len(policies), n + 1))
    for place, name in enumerate(SIMPLE):
        weights[place] = simple_weights(name, returns, mask, rules.limits)
    held, account = seen[:, -(n + 2) : -2], seen[:, -2:]
    for place, policy in enumerate(policies.values(), start=len(SIMPLE)):
        weights[place] = policy.weights(
            decisions.stocks[row : row + 1],
            mask[None, :],
            decisions.context[row : row + 1],
            held[place : place + 1].astype(np.float64),
            account[place : place + 1].astype(np.float64),
        )[0]
    return weights


def _measure(name: str, paths: Sequence[_Path], rules: Rules) -> Result:
    growth = np.concatenate([path.values[1:] / path.values[:-1] for path in paths])
    values = np.concatenate([[1.0], np.cumprod(growth)])
    start_cents = rules.initial_cash_usd * 100
    return _result(
        name,
        values,
        turnover=sum(path.traded for path in paths),
        costs=sum(path.costs for path in paths) / start_cents,
        cash=float(np.mean([c for path in paths for c in path.cash])),
        effective=float(np.mean([c for path in paths for c in path.effective])),
    )


def _result(name: str, values: Floats, *, turnover: float, costs: float, cash: float, effective: float) -> Result:
    performance = measure_performance(values)
    whole_year = performance.sessions >= _YEAR_ENOUGH
    sharpe = performance.sharpe or 0.0
    return Result(
        allocator=name,
        sessions=performance.sessions,
        total_return=performance.total_return,
        annual_return=performance.annual_return if whole_year else None,
        annual_volatility=performance.annual_volatility if whole_year else None,
        sharpe=sharpe if whole_year else None,
        ratio=sharpe / SESSIONS_A_YEAR**0.5,
        drawdown_max=performance.drawdown_max,
        turnover=turnover,
        costs=costs,
        cash_weight=cash,
        effective_positions=effective,
    )


def _hold_index(decisions: Decisions, recording: Recording, levels: Floats, rules: Rules) -> Result | None:
    """The index bought at the first decision's close for half the spread and held; None where a level is missing."""
    growths = []
    for first, last in _spans(recording):
        window = levels[decisions.session_index[first] : decisions.session_index[last] + 1]
        growths.append(window[1:] / window[:-1])
    growth = np.concatenate(growths)
    if not np.isfinite(growth).all():
        return None
    spread = rules.costs.half_spread_bps / 10_000
    growth[0] *= 1.0 - spread
    values = np.concatenate([[1.0], np.cumprod(growth)])
    return _result(INDEX, values, turnover=0.0, costs=spread, cash=0.0, effective=1.0)


@dataclass(frozen=True)
class Choice:
    """Which allocator serves, which seed if it is the policy, and why, with the numbers."""

    allocator: str
    seed: int | None
    reason: str


def choose(judgement: Judgement | None, default: str) -> Choice:
    """The policy only if its median seed beats the best simple allocator on the validation window; else that one."""
    if judgement is None or judgement.decisions < DECISIONS_MIN:
        found = judgement.decisions if judgement else 0
        return Choice(
            default, None, f"{default} by default: only {found} decisions to validate on, {DECISIONS_MIN} needed"
        )
    simple = [judgement.result(name) for name in SIMPLE]
    best = max(simple, key=lambda result: result.ratio)
    window = f"{judgement.from_on} to {judgement.to_on}"
    if judgement.median_seed is None:
        return Choice(
            best.allocator, None, f"{best.allocator} had the best Sharpe ratio of {window}; no policy was trained"
        )
    policy = judgement.result(PPO)
    spread = ", ".join(_shown(result) for result in sorted(judgement.seeds, key=lambda r: r.ratio))
    numbers = (
        f"Sharpe ratio of {_shown(policy)} (median of seeds {spread}) against {_shown(best)} of"
        f" {best.allocator} from {window}, net of costs"
    )
    if policy.ratio > best.ratio:
        return Choice(PPO, judgement.median_seed, f"ppo beat the best simple allocator: {numbers}")
    return Choice(best.allocator, None, f"ppo did not beat the best simple allocator: {numbers}")


def _shown(result: Result) -> str:
    return f"{result.ratio:.3f} a day" if result.sharpe is None else f"{result.sharpe:.2f}"


def table_lines(title: str, judgement: Mapping[str, Any]) -> list[str]:
    """The stored table (`Judgement.to_json`) as aligned text."""
    lines = [
        f"{title}, {judgement['from_on']} to {judgement['to_on']}, {judgement['decisions']} decisions, net of costs",
        f"{'allocator':<20}{'return':>9}{'a year':>9}{'volat.':>9}{'Sharpe':>8}{'drawdown':>10}{'turnover':>10}"
        f"{'costs':>8}{'cash':>7}{'eff. n':>8}",
    ]
    for row in judgement["table"]:
        lines.append(
            f"{row['allocator']:<20}{row['total_return']:>9.1%}{_percent(row['annual_return']):>9}"
            f"{_percent(row['annual_volatility']):>9}{_number(row['sharpe']):>8}{row['drawdown_max']:>10.1%}"
            f"{row['turnover']:>10.1f}{row['costs']:>8.2%}{row['cash_weight']:>7.1%}{row['effective_positions']:>8.1f}"
        )
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
