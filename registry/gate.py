"""The promotion gate: evidence in, verdict out. Pure: it reads no database and no clock, and it fails closed.

Hard checks ask whether the evidence may be believed at all: leak probes, degeneracy, drift of the inputs, purged
out-of-sample results. Proof checks ask whether the skill is proven after all that was tried. `fail` means that
something speaks against the candidate, `not_proven` that not enough speaks for it, which is a normal answer.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Status = Literal["pass", "not_proven", "fail"]


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
    """What the gate says. Only `pass` makes a champion; only `may_shadow` a challenger."""

    verdict: Status
    reason: str
    checks: tuple[Check, ...]

    @property
    def may_shadow(self) -> bool:
        """Whether the version may run as challenger: every hard check passes and none speaks against it."""
        return self.verdict != "fail" and all(check.status == "pass" for check in self.checks if check.is_hard)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "may_shadow": self.may_shadow,
            "checks": [check.as_dict() for check in self.checks],
        }
