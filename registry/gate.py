"""The promotion gate: evidence in, verdict out. Pure: it reads no database and no clock, and it fails closed.

Hard checks ask whether the evidence may be believed at all: leak probes, degeneracy, drift of the inputs, purged
out-of-sample results. Proof checks ask whether the skill is proven after all that was tried. `fail` means that
something speaks against the candidate, `not_proven` that not enough speaks for it, which is a normal answer.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from quant.bootstrap import Interval, mean_interval, ratio_difference_interval, ratio_interval
from quant.overfitting import measure_overfitting
from quant.sharpe import Moments, deflated_ratio, measure_moments, minimum_track_record, probabilistic_ratio
from quant.stats import SESSIONS_A_YEAR

Floats = npt.NDArray[np.float64]
Status = Literal["pass", "not_proven", "fail"]

# One chance in twenty of calling luck skill, or skill harm: the usual price of an error in this field.
CONFIDENCE = 0.95
DEFLATED_MIN = 0.95
# Two years: shorter records hold one kind of market, and their skewness and kurtosis are guesses.
SESSIONS_MIN = 2 * SESSIONS_A_YEAR
# Noise has 0.5 on average, and stays below this bar in one case of twenty when fifty configurations were tried.
OVERFITTING_MAX = 0.2
# Noise from many configurations is seldom above this one: picking the worst of the past would have been wiser.
OVERFITTING_FAIL = 0.9
# With fewer, a rank out of sample has so few values that a fifth of all noise stays below the bar.
OVERFITTING_TRIALS_MIN = 4
DRAWS = 500
_STILL = 1e-9
_ROOT = math.sqrt(SESSIONS_A_YEAR)


@dataclass(frozen=True)
class Purge:
    """One fold of the candidate: its last training or validation label, and the sessions that it was judged on."""

    last_label_on: date
    first_test_on: date
    last_test_on: date


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on, as of one date. None means that nobody looked, and proves nothing.

    All series are daily simple returns net of costs, parallel to `sessions` (rising), out of sample throughout.
    `returns` is the candidate's own; `active` the candidate less `reference` (screener: "universe"; allocator:
    "equal_weight"); `active_costs_doubled` the candidate at twice the costs less the same reference; `baselines` the
    simple rules that it must beat, by name (screener: plain; allocator: each simple allocator).

    `trials` is the count of every configuration of the kind ever tried. Only `registry.evidence` builds this record,
    and it reads the count from the table of trials: no job, command or route takes it from a person.
    `trial_ratios` are the Sharpe ratios per session, not annualised, of the trials' own active series, whatever their
    strategy, one of each trial that has a series. `trial_active` has one column of active returns for each trial of
    this strategy that has all of `sessions`, the candidate's own among them: shape (sessions, trials).

    `leaks`: the newest audit of exactly this code was clean, found something, or there is none; `leak_findings` its
    words. `degeneracies` and `drift_alarms` are plain-language findings, empty where one looked and found nothing.
    `purges` must cover all `sessions`.
    """

    kind: Literal["screener", "allocator"]
    strategy: str
    as_of: date
    reference: str
    sessions: npt.NDArray[np.datetime64]
    returns: Floats
    active: Floats
    active_costs_doubled: Floats | None
    baselines: Mapping[str, Floats]
    trials: int | None
    trial_ratios: Floats
    trial_active: Floats | None
    leaks: Literal["clean", "found", "not_run"]
    leak_findings: tuple[str, ...]
    degeneracies: tuple[str, ...] | None
    drift_alarms: tuple[str, ...] | None
    purges: tuple[Purge, ...]


@dataclass(frozen=True)
class Check:
    """One question to the evidence. `value` is held against `bar`; both None where nothing is measured."""

    name: str
    is_hard: bool
    status: Status
    value: float | None
    bar: float | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What the gate says. Only `pass` makes a champion; a challenger needs every hard check to pass."""

    verdict: Status
    reason: str
    checks: tuple[Check, ...]


def judge(evidence: Evidence) -> Verdict:
    """Hold the evidence against every bar. One `fail` fails it, one `not_proven` leaves it open, missing is open.

    InputError where the evidence contradicts itself: series of other lengths, gaps, sessions that do not rise.
    """
    _require(evidence)
    checks = (
        _leaks(evidence),
        _degeneracy(evidence),
        _drift(evidence),
        _out_of_sample(evidence),
        *_proofs(evidence),
    )
    for status in ("fail", "not_proven"):
        reasons = [check.sentence for check in checks if check.status == status]
        if reasons:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            return Verdict(status, reasons[0] + more, checks)
    return Verdict("pass", f"All {len(checks)} checks pass.", checks)


def _leaks(evidence: Evidence) -> Check:
    if evidence.leaks == "clean":
        return _hard("leaks", "pass", "The leak probes find nothing in this code.")
    if evidence.leaks == "found":
        return _hard(
            "leaks", "fail", f"The leak probes find knowledge of the future: {_listed(evidence.leak_findings)}."
        )
    return _hard("leaks", "not_proven", "The leak probes have not run over this code.")


def _degeneracy(evidence: Evidence) -> Check:
    if evidence.degeneracies is None:
        return _hard("degeneracy", "not_proven", "Nobody has looked whether what it says is degenerate.")
    if evidence.degeneracies:
        return _hard("degeneracy", "fail", f"It is degenerate: {_listed(evidence.degeneracies)}.")
    return _hard("degeneracy", "pass", "It is neither constant, nor a copy of a simple rule, nor in a corner.")


def _drift(evidence: Evidence) -> Check:
    if evidence.drift_alarms is None:
        return _hard("drift", "not_proven", "Whether its inputs have drifted is not known.")
    if evidence.drift_alarms:
        return _hard("drift", "fail", f"Its inputs have drifted: {_listed(evidence.drift_alarms)}.")
    return _hard("drift", "pass", "Its inputs are as they were when it learned.")


def _out_of_sample(evidence: Evidence) -> Check:
    """Every session must lie in a fold whose last label ended before that fold was first judged."""
    name, sessions = "out_of_sample", evidence.sessions.astype("datetime64[D]")
    if not len(sessions):
        return _hard(name, "not_proven", "It has no results on sessions that it had not seen.")
    for purge in evidence.purges:
        if purge.last_label_on >= purge.first_test_on:
            return _hard(
                name,
                "fail",
                f"The fold judged from {purge.first_test_on} on learned from labels that reach {purge.last_label_on}.",
            )
    first = np.array([purge.first_test_on for purge in evidence.purges], dtype="datetime64[D]")
    last = np.array([purge.last_test_on for purge in evidence.purges], dtype="datetime64[D]")
    covered = ((sessions[:, None] >= first) & (sessions[:, None] <= last)).any(axis=1)
    if not covered.all():
        return _hard(name, "not_proven", f"{(~covered).sum()} of {len(sessions)} sessions belong to no known fold.")
    span = f"{len(sessions)} sessions from {sessions[0]} to {sessions[-1]}"
    return _hard(name, "pass", f"{span}, each judged by a fold whose last label had ended before.")


def _proofs(evidence: Evidence) -> tuple[Check, ...]:
    """The checks of skill; none of them can be made on less than a year, nor on returns that do not vary."""
    moments = measure_moments(evidence.active) if len(evidence.active) >= SESSIONS_A_YEAR else None
    if moments is None:
        sentence = (
            f"{_count(len(evidence.active), 'session')} cannot prove skill: it takes at least a year of returns that"
            f" differ from those of {_plain(evidence)}."
        )
        names = ("track_record", "deflated_sharpe", "overfitting", "costs_doubled", "baseline")
        return tuple(_proof(name, "not_proven", None, None, sentence) for name in names)
    return (
        _track_record(evidence, moments),
        _deflated_sharpe(evidence, moments),
        _overfitting(evidence),
        _costs_doubled(evidence),
        _baseline(evidence),
    )


def _track_record(evidence: Evidence, moments: Moments) -> Check:
    name, ratio = "track_record", f"a Sharpe ratio of {_with_interval(ratio_interval(evidence.active, draws=DRAWS))}"
    ratio += f" against {_plain(evidence)}"
    needed = minimum_track_record(moments, confidence=CONFIDENCE)
    if needed is None:
        return _proof(
            name, "not_proven", moments.sessions, None, f"No length of record makes {ratio} a proof of skill."
        )
    bar = math.ceil(max(needed, SESSIONS_MIN))
    enough = moments.sessions >= bar
    sentence = f"{moments.sessions} sessions are on record; {bar} are needed for {ratio}."
    return _proof(name, "pass" if enough else "not_proven", moments.sessions, bar, sentence)


def _deflated_sharpe(evidence: Evidence, moments: Moments) -> Check:
    name, seen = "deflated_sharpe", 0 if evidence.trial_active is None else evidence.trial_active.shape[1]
    if evidence.trials is None or evidence.trials < max(seen, len(evidence.trial_ratios), 1):
        return _proof(name, "not_proven", None, DEFLATED_MIN, "How many configurations were tried is not known.")
    value = deflated_ratio(moments, trials=evidence.trials, variance=_luck(evidence, moments))
    text = f"Deflated Sharpe ratio {value:.2f} after {_count(evidence.trials, 'trial')}"
    if probabilistic_ratio(moments) <= 1.0 - CONFIDENCE:
        sentence = f"{text}: it is worse than {_plain(evidence)}, and that is no chance."
        return _proof(name, "fail", value, DEFLATED_MIN, sentence)
    if value < DEFLATED_MIN:
        sentence = f"{text}: below {DEFLATED_MIN:.2f}, so skill is not proven."
        return _proof(name, "not_proven", value, DEFLATED_MIN, sentence)
    return _proof(name, "pass", value, DEFLATED_MIN, f"{text}: at least {DEFLATED_MIN:.2f}.")


def _luck(evidence: Evidence, moments: Moments) -> float:
    """Variance of Sharpe ratios across trials: as seen, and never below what chance gives trials without skill.

    Few trials, or trials that resemble one another, show less than that, and would make the bar too low.
    """
    seen = float(evidence.trial_ratios.var(ddof=1)) if len(evidence.trial_ratios) > 1 else 0.0
    return max(seen, 1.0 / (moments.sessions - 1))


def _overfitting(evidence: Evidence) -> Check:
    name, trials = "overfitting", evidence.trial_active
    varied = None if trials is None else trials[:, trials.std(axis=0) > _STILL]
    if varied is None or varied.shape[1] < OVERFITTING_TRIALS_MIN:
        count = 0 if varied is None else varied.shape[1]
        sentence = (
            f"Whether the choice is overfitted cannot be told from {_count(count, 'configuration')} of the strategy:"
            f" at least {OVERFITTING_TRIALS_MIN} must have been judged on these sessions."
        )
        return _proof(name, "not_proven", None, OVERFITTING_MAX, sentence)
    try:
        value = measure_overfitting(varied).probability
    except InputError as error:
        sentence = f"Whether the choice is overfitted cannot be told: {error}."
        return _proof(name, "not_proven", None, OVERFITTING_MAX, sentence)
    text = f"Probability that the choice among {varied.shape[1]} configurations is overfitted: {value:.2f}"
    if value > OVERFITTING_FAIL:
        return _proof(name, "fail", value, OVERFITTING_MAX, f"{text}: the best of the past was mostly bad afterwards.")
    if value > OVERFITTING_MAX:
        sentence = f"{text}, above {OVERFITTING_MAX:.2f}, so skill is not proven."
        return _proof(name, "not_proven", value, OVERFITTING_MAX, sentence)
    return _proof(name, "pass", value, OVERFITTING_MAX, f"{text}, at most {OVERFITTING_MAX:.2f}.")


def _costs_doubled(evidence: Evidence) -> Check:
    name = "costs_doubled"
    if evidence.active_costs_doubled is None:
        return _proof(name, "not_proven", None, 0.0, "What it would earn at twice the costs is not known.")
    value = float(evidence.active_costs_doubled.mean()) * SESSIONS_A_YEAR
    text = f"At twice the costs it earns {value:+.1%} a year against {_plain(evidence)}"
    if value > 0.0:
        return _proof(name, "pass", value, 0.0, f"{text}.")
    if mean_interval(evidence.active_costs_doubled, draws=DRAWS).high < 0.0:
        return _proof(name, "fail", value, 0.0, f"{text}, and that is no chance.")
    return _proof(name, "not_proven", value, 0.0, f"{text}: trading eats what it knows.")


def _baseline(evidence: Evidence) -> Check:
    """Against the simple rule that turned out best; its Sharpe ratio, so that risk alone beats nobody."""
    moments = {name: measure_moments(others) for name, others in sorted(evidence.baselines.items())}
    ratios = {name: found.ratio for name, found in moments.items() if found is not None}
    best = max(ratios, key=lambda name: ratios[name], default="")
    whole = len(ratios) == len(moments) > 0
    interval = ratio_difference_interval(evidence.returns, evidence.baselines[best], draws=DRAWS) if whole else None
    if interval is None:
        return _proof("baseline", "not_proven", None, 0.0, "How it compares with the simple rules is not known.")
    low, high = interval.low * _ROOT, interval.high * _ROOT
    text = f"Its Sharpe ratio less that of the best simple rule, {_readable(best)}, is {_with_interval(interval)}"
    if high < 0.0:
        return _proof("baseline", "fail", low, 0.0, f"{text}: the simple rule is better.")
    if low <= 0.0:
        return _proof("baseline", "not_proven", low, 0.0, f"{text}: not proven to be better.")
    return _proof("baseline", "pass", low, 0.0, f"{text}.")


def _require(evidence: Evidence) -> None:
    count = len(evidence.sessions)
    if (np.diff(evidence.sessions.astype("datetime64[D]").astype(np.int64)) <= 0).any():
        raise InputError("evidence: sessions must rise strictly")
    series = {"active": evidence.active, **{f"baseline {name}": other for name, other in evidence.baselines.items()}}
    if evidence.baselines:
        series["returns"] = evidence.returns
    if evidence.active_costs_doubled is not None:
        series["active_costs_doubled"] = evidence.active_costs_doubled
    if evidence.trial_active is not None:
        series["trial_active"] = evidence.trial_active
    for name, values in series.items():
        if len(values) != count or not np.isfinite(values).all():
            raise InputError(f"evidence: {name} must have one finite return for each of the {count} sessions")


def _hard(name: str, status: Status, sentence: str) -> Check:
    return Check(name, is_hard=True, status=status, value=None, bar=None, sentence=sentence)


def _proof(name: str, status: Status, value: float | None, bar: float | None, sentence: str) -> Check:
    return Check(name, is_hard=False, status=status, value=value, bar=bar, sentence=sentence)


def _with_interval(interval: Interval | None) -> str:
    if interval is None:
        return "nothing"
    observed, low, high = (ratio * _ROOT for ratio in (interval.observed, interval.low, interval.high))
    return f"{observed:+.2f} a year (90 % interval {low:+.2f} to {high:+.2f})"


def _plain(evidence: Evidence) -> str:
    return _readable(evidence.reference)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _listed(findings: tuple[str, ...]) -> str:
    return "; ".join(finding.rstrip(".") for finding in findings) or "no details"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
