"""Allocators judged side by side on decisions they have not learned from: same stocks, same costs, same simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.bootstrap import Interval, ratio_difference_interval
from quant.stats import SESSIONS_A_YEAR, YEAR_ENOUGH_SESSIONS, measure_performance
from rl_trading import degeneracy
from rl_trading.artefact import Policy
from rl_trading.baselines import SIMPLE, past_returns, simple_weights
from rl_trading.degeneracy import Reading
from rl_trading.dynamics import STANDARD_RULES, Portfolios, Rules
from rl_trading.observation import Scales
from rl_trading.windows import Decisions, Market, Recording, record

Floats = npt.NDArray[np.float64]
Sessions = npt.NDArray[np.datetime64]
INDEX = "index"
PPO = "ppo"
REFERENCE = "equal_weight"
COSTS_DOUBLED, IMPACT_BY_VOLATILITY = "costs_doubled", "impact_by_volatility"
# Judged on fewer weeks than this, a lead says nothing.
DECISIONS_MIN = 26
# A regime that lasted less than a month of the window says nothing of an allocator.
_REGIME_SESSIONS_MIN = 21


def seed_name(seed: int) -> str:
    """How a seed is called in tables and trial returns."""
    return f"seed-{seed}"


@dataclass(frozen=True)
class Result:
    """One allocator over one window; fractions. Nothing shorter than a year is annualised: those fields are None.

    `ratio` is the mean of daily returns over their deviation, the Sharpe ratio of a day. `turnover` is what was traded
    (buys plus sales) over the value, summed over the window without the first purchase; `costs` the spread, impact and
    commission paid, over the starting value. `effective_positions` is the mean of 1 / sum of the squared
    shares of what is invested. `lead` is the ratio less that of equal weight, with the middle 90 % of what resampling
    blocks of the window makes of it.
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
    lead: Interval | None = None


@dataclass(frozen=True)
class Course:
    """One allocator's way through a window: its daily returns with their sessions, and what it did at each decision."""

    sessions: Sessions
    returns: Floats
    traded: float  # in multiples of the value, without the first purchase
    costs: float  # cents
    targets: Floats  # (d, n + 1) weights wanted, cash last
    held: Floats  # (d, n + 1) weights before trading, cash last with what is to be sold outside the list
    outside: Floats  # (d) weight of what is held outside the list


@dataclass(frozen=True)
class Judgement:
    """All allocators over one window of one strategy.

    `results` are in the order of the table: the policy (mean of its seeds), the simple allocators, the index. `stress`
    is the policy with dearer trading. `readings` look for degeneracy; none without a policy. `regimes` has by label
    the sessions and each allocator's mean return a session in basis points. `courses` is the way of each.
    """

    from_on: str
    to_on: str
    decisions: int
    results: tuple[Result, ...]
    seeds: tuple[Result, ...]
    stress: tuple[Result, ...]
    readings: tuple[Reading, ...]
    regimes: Mapping[str, Mapping[str, Any]]
    courses: Mapping[str, Course]

    def result(self, allocator: str) -> Result:
        """One line of the table."""
        return next(result for result in self.results if result.allocator == allocator)

    def to_json(self) -> dict[str, Any]:
        """For `model_versions.metrics`; numbers rounded to 1e-6."""
        return {
            "from_on": self.from_on,
            "to_on": self.to_on,
            "decisions": self.decisions,
            "table": [_rounded(result) for result in self.results],
            "seeds": [_rounded(result) for result in self.seeds],
            "stress": [_rounded(result) for result in self.stress],
            "regimes": self.regimes,
        }

    def policy(self) -> dict[str, Any] | None:
        """The policy in a few numbers: the mean of the seeds, and the median and quarters of the seeds alone."""
        if not self.seeds:
            return None
        ratios = np.array([seed.ratio for seed in self.seeds]) * SESSIONS_A_YEAR**0.5
        returns = np.array([seed.total_return for seed in self.seeds])
        own = self.result(PPO)
        return {
            "from_on": self.from_on,
            "to_on": self.to_on,
            "whole_year": own.sharpe is not None,
            "seeds": len(self.seeds),
            # Without a whole year these are daily ratios times the root of 252, comparable and no forecast.
            "ensemble_sharpe": round(own.ratio * SESSIONS_A_YEAR**0.5, 6),
            "seeds_sharpe": _quarters(ratios),
            "ensemble_return": round(own.total_return, 6),
            "seeds_return": _quarters(returns),
        }


def _quarters(values: Floats) -> dict[str, float]:
    low, middle, high = (round(float(v), 6) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": middle, "quarter": low, "three_quarters": high, "interquartile_range": round(high - low, 6)}


def _rounded(result: Result) -> dict[str, Any]:
    row = {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(result).items()}
    if result.lead is not None:
        row["lead"] = {name: round(value, 6) for name, value in asdict(result.lead).items()}
    return row


def judge(
    market: Market,
    decisions: Decisions,
    policy: Policy | None,
    index_levels: Floats,
    *,
    scales: Scales,
    regimes: npt.NDArray[np.str_] | None = None,
    rules: Rules = STANDARD_RULES,
) -> Judgement | None:
    """Every simple allocator, the policy, each of its seeds and the index over the decisions, from cash, net of costs.

    `regimes` has the label that was read at each of the market's closes, empty where there was none. None where the
    decisions leave no window to judge. Gaps in the decisions are left out of the path.
    """
    recording = record(market, [decisions], scales)
    if not recording.segments:
        return None
    seeds = range(1, policy.seeds + 1) if policy else range(0)
    names = [*((PPO,) if policy else ()), *SIMPLE, *map(seed_name, seeds)]
    courses = _follow(market, decisions, recording, policy, names, rules)
    results = {name: _measure(name, courses[name], rules) for name in names}
    results = {name: replace(result, lead=_lead(courses, name)) for name, result in results.items()}
    stress = {}
    if policy:
        for name, costs in _stresses(rules).items():
            dear = replace(rules, costs=costs)
            courses[name] = _follow(market, decisions, recording, policy, [PPO], dear)[PPO]
            stress[name] = _measure(name, courses[name], dear)
    index = _hold_index(market, decisions, recording, index_levels, rules)
    if index is not None:
        courses[INDEX] = index
        results[INDEX] = _measure(INDEX, index, rules)
    last = recording.segments[-1].last
    sharpes = [results[seed_name(seed)].sharpe for seed in seeds]
    return Judgement(
        from_on=str(market.sessions[decisions.session_index[recording.segments[0].first]]),
        to_on=str(market.sessions[decisions.session_index[last]]),
        decisions=sum(segment.last - segment.first for segment in recording.segments),
        results=tuple(result for name, result in results.items() if not name.startswith("seed-")),
        seeds=tuple(results[seed_name(seed)] for seed in seeds),
        stress=tuple(stress.values()),
        readings=tuple(_look(decisions, recording, policy, courses, rules, sharpes)) if policy else (),
        regimes={} if regimes is None else by_regime(_shown(courses), _before(market.sessions, regimes, courses)),
        courses=courses,
    )


def _stresses(rules: Rules) -> dict[str, Any]:
    return {
        COSTS_DOUBLED: rules.costs.doubled(),
        IMPACT_BY_VOLATILITY: replace(rules.costs, impact_by_volatility=True),
    }


def _shown(courses: Mapping[str, Course]) -> dict[str, Floats]:
    return {name: course.returns for name, course in courses.items() if name in (PPO, *SIMPLE, INDEX)}


def _before(sessions: Sessions, regimes: npt.NDArray[np.str_], courses: Mapping[str, Course]) -> npt.NDArray[np.str_]:
    """The regime that was known before each session of the courses began."""
    at = np.searchsorted(sessions, courses[REFERENCE].sessions)
    known: npt.NDArray[np.str_] = regimes[np.maximum(at - 1, 0)]
    return known


def by_regime(returns: Mapping[str, Floats], labels: npt.NDArray[np.str_]) -> dict[str, dict[str, Any]]:
    """By regime of at least a month: its sessions, and each allocator's mean return a session in basis points."""
    table = {}
    for label in sorted(set(labels.tolist()) - {""}):
        inside = labels == label
        if inside.sum() >= _REGIME_SESSIONS_MIN:
            means = {name: round(float(series[inside].mean()) * 10_000, 3) for name, series in returns.items()}
            table[label] = {"sessions": int(inside.sum()), "mean_bps": means}
    return table


def _follow(
    market: Market,
    decisions: Decisions,
    recording: Recording,
    policy: Policy | None,
    names: Sequence[str],
    rules: Rules,
) -> dict[str, Course]:
    """The courses of the named allocators, each with a portfolio of its own that starts anew in every segment."""
    count = len(names)
    portfolios = Portfolios(recording, count, rules)
    parts: list[list[Floats]] = [[] for _ in names]
    days: list[Sessions] = []
    targets, before_trading = [], []
    traded, costs = np.zeros(count), np.zeros(count)
    for segment in recording.segments:
        portfolios.start(np.arange(count), np.full(count, segment.first))
        for row in range(segment.first, segment.last):
            seen = portfolios.observe()[:, -(portfolios.stocks + 2) :].astype(np.float64)
            weights = _weigh(market, decisions, recording, row, policy, names, rules, seen)
            value = portfolios.state.value.astype(np.float64)
            portfolios.step(weights)
            if row > segment.first:
                traded += portfolios.outcome.traded / value
            costs += portfolios.outcome.costs
            window = int(recording.tape.days[row])
            path = np.column_stack([value, portfolios.outcome.values[:, :window]])
            for place, gains in enumerate(path[:, 1:] / path[:, :-1] - 1.0):
                parts[place].append(gains)
            first = int(decisions.session_index[row]) + 1
            days.append(market.sessions[first : first + window])
            targets.append(weights)
            before_trading.append(seen)
    wanted, seen = np.stack(targets, axis=1), np.stack(before_trading, axis=1)
    return {
        name: Course(
            sessions=np.concatenate(days),
            returns=np.concatenate(parts[place]),
            traded=float(traded[place]),
            costs=float(costs[place]),
            targets=wanted[place],
            held=np.column_stack([seen[place, :, :-2], seen[place, :, -2:].sum(axis=1)]),
            outside=seen[place, :, -1],
        )
        for place, name in enumerate(names)
    }


def _weigh(
    market: Market,
    decisions: Decisions,
    recording: Recording,
    row: int,
    policy: Policy | None,
    names: Sequence[str],
    rules: Rules,
    seen: Floats,
) -> Floats:
    """(allocators, n + 1): the simple ones from past returns, the learned ones from what their portfolios see."""
    mask = recording.tape.mask[row]
    returns = past_returns(market.adj_close, int(decisions.session_index[row]), decisions.slots[row])
    weights = np.empty((len(names), len(mask) + 1))
    learned = [place for place, name in enumerate(names) if name not in SIMPLE]
    for place, name in enumerate(names):
        if name in SIMPLE:
            weights[place] = simple_weights(name, returns, mask, rules.limits)
    if policy and learned:
        by_seed = policy.weights_by_seed(
            np.repeat(decisions.stocks[row : row + 1], len(learned), axis=0),
            np.repeat(mask[None, :], len(learned), axis=0),
            np.repeat(decisions.context[row : row + 1], len(learned), axis=0),
            seen[learned, :-2],
            seen[learned, -2:],
        )
        for line, place in enumerate(learned):
            name = names[place]
            said = by_seed[:, line]
            weights[place] = said.mean(axis=0) if name == PPO else said[int(name.removeprefix("seed-")) - 1]
    return weights


def _look(
    decisions: Decisions,
    recording: Recording,
    policy: Policy,
    courses: Mapping[str, Course],
    rules: Rules,
    sharpes: Sequence[float | None],
) -> list[Reading]:
    """All readings of degeneracy."""
    own, equal = courses[PPO], courses[REFERENCE]
    rows = np.concatenate([np.arange(segment.first, segment.last) for segment in recording.segments])
    by_seed = policy.weights_by_seed(
        decisions.stocks[rows],
        recording.tape.mask[rows],
        decisions.context[rows],
        own.held[:, :-1],
        np.column_stack([own.held[:, -1] - own.outside, own.outside]),
    )
    steps = max(len(rows) - len(recording.segments), 1)
    return [
        degeneracy.constant_weights(own.targets),
        degeneracy.clone_of_equal_weight(own.targets, equal.targets),
        degeneracy.clone_of_buy_and_hold(own.targets, own.held, own.outside),
        degeneracy.corner_solutions(own.targets, rules.limits.position_weight_max),
        degeneracy.exploding_turnover(own.traded / steps, equal.traded / steps),
        degeneracy.all_cash(own.targets),
        degeneracy.disagreeing_seeds(by_seed),
        *degeneracy.spread_of_seeds(sharpes),
    ]


def _lead(courses: Mapping[str, Course], name: str) -> Interval | None:
    """Of the daily ratio over that of equal weight; seeds are many and have none."""
    if name == REFERENCE or name.startswith("seed-"):
        return None
    return ratio_difference_interval(courses[name].returns, courses[REFERENCE].returns)


def _measure(name: str, course: Course, rules: Rules) -> Result:
    performance = measure_performance(np.concatenate([[1.0], np.cumprod(1.0 + course.returns)]))
    whole_year = performance.sessions >= YEAR_ENOUGH_SESSIONS
    sharpe = performance.sharpe or 0.0
    stocks = course.targets[:, :-1]
    invested = stocks.sum(axis=1) ** 2 / np.maximum((stocks**2).sum(axis=1), 1e-12)
    return Result(
        allocator=name,
        sessions=performance.sessions,
        total_return=performance.total_return,
        annual_return=performance.annual_return if whole_year else None,
        annual_volatility=performance.annual_volatility if whole_year else None,
        sharpe=sharpe if whole_year else None,
        ratio=sharpe / SESSIONS_A_YEAR**0.5,
        drawdown_max=performance.drawdown_max,
        turnover=course.traded,
        costs=course.costs / (rules.initial_cash_usd * 100),
        cash_weight=float(course.targets[:, -1].mean()),
        effective_positions=float(invested.mean()),
    )


def _hold_index(
    market: Market, decisions: Decisions, recording: Recording, levels: Floats, rules: Rules
) -> Course | None:
    """The index bought at the first decision's close for half the spread and held; None where a level is missing."""
    gains, days = [], []
    for segment in recording.segments:
        first, last = (int(decisions.session_index[row]) for row in (segment.first, segment.last))
        window = levels[first : last + 1]
        gains.append(window[1:] / window[:-1] - 1.0)
        days.append(market.sessions[first + 1 : last + 1])
    returns = np.concatenate(gains)
    if not np.isfinite(returns).all():
        return None
    spread = rules.costs.half_spread_bps / 10_000
    returns[0] = (1.0 + returns[0]) * (1.0 - spread) - 1.0
    count = sum(segment.last - segment.first for segment in recording.segments)
    invested = np.tile([1.0, 0.0], (count, 1))
    return Course(
        sessions=np.concatenate(days),
        returns=returns,
        traded=0.0,
        costs=spread * rules.initial_cash_usd * 100,
        targets=invested,
        held=invested,
        outside=np.zeros(count),
    )


@dataclass(frozen=True)
class Choice:
    """Which simple allocator serves where no learned one may, and why, with the numbers."""

    allocator: str
    reason: str


def choose(judgement: Judgement | None, default: str) -> Choice:
    """The simple allocator that did best on the validation window. The policy is no candidate: the gate admits it."""
    if judgement is None or judgement.decisions < DECISIONS_MIN:
        found = judgement.decisions if judgement else 0
        return Choice(default, f"{default} by default: only {found} decisions to validate on, {DECISIONS_MIN} needed")
    ranked = sorted((judgement.result(name) for name in SIMPLE), key=lambda result: -result.ratio)
    others = ", ".join(f"{result.allocator} {_ratio_shown(result)}" for result in ranked[1:])
    reason = (
        f"{ranked[0].allocator} had the best Sharpe ratio of the simple allocators from {judgement.from_on} to"
        f" {judgement.to_on}, net of costs: {_ratio_shown(ranked[0])}, before {others}"
    )
    return Choice(ranked[0].allocator, reason)


def _ratio_shown(result: Result) -> str:
    return f"{result.ratio:.3f} a day" if result.sharpe is None else f"{result.sharpe:.2f}"


def table_lines(title: str, judgement: Mapping[str, Any]) -> list[str]:
    """The stored table (`Judgement.to_json`) as aligned text."""
    lines = [
        f"{title}, {judgement['from_on']} to {judgement['to_on']}, {judgement['decisions']} decisions, net of costs,"
        " hypothetical",
        f"{'allocator':<20}{'return':>9}{'a year':>9}{'volat.':>9}{'Sharpe':>8}{'drawdown':>10}{'turnover':>10}"
        f"{'costs':>8}{'cash':>7}{'eff. n':>8}{'lead a day, 90 %':>25}",
    ]
    for row in judgement["table"]:
        lines.append(
            f"{row['allocator']:<20}{row['total_return']:>9.1%}{_percent(row['annual_return']):>9}"
            f"{_percent(row['annual_volatility']):>9}{_number(row['sharpe']):>8}{row['drawdown_max']:>10.1%}"
            f"{row['turnover']:>10.1f}{row['costs']:>8.2%}{row['cash_weight']:>7.1%}{row['effective_positions']:>8.1f}"
            f"{_interval(row['lead']):>25}"
        )
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(lead: Mapping[str, float] | None) -> str:
    return "-" if lead is None else f"{lead['observed']:+.3f} [{lead['low']:+.3f} {lead['high']:+.3f}]"
