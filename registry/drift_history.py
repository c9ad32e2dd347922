"""How often the alarms would have rung, year by year, beside the textbook's tests on the same real features."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import stats

from core.errors import DataMissing
from core.progress import Progress, silent
from database.session import Session
from quant.drift import (
    ALARM_P,
    BINS,
    PSI_LARGE,
    PSI_MODERATE,
    SHARE_OF_MISSING,
    SHARE_OF_SHAPE,
    Counts,
    PanelDrift,
    judge_inputs,
    read_panel,
)
from quant.placement import WINDOW_SESSIONS, Floats
from registry.panels import TrainingPanel, count_sessions, training_panel

_REFERENCE_YEARS = 5
_KS_P = 0.05


@dataclass(frozen=True)
class YearOfAlarms:
    """One year, held against the five before: shares of its feature-months, and of its months.

    A feature-month is a feature in 21 sessions, and alarms when any day's reading does; `moved` by its shape, `gaps`
    by unknown or dead values. ks, psi_moderate and psi_large: the same by Kolmogorov-Smirnov at p < 0.05 on the pooled
    values, and by the population stability index, on the month's last day. model_months: months with an alarm of a
    model that uses all features alike. drifted: the features with most alarms, most first.
    """

    year: int
    months: int
    features: int
    moved: float
    gaps: float
    ks: float
    psi_moderate: float
    psi_large: float
    model_months: int
    drifted: tuple[str, ...]


def alarm_history(session: Session, *, years: Sequence[int], progress: Progress = silent) -> list[YearOfAlarms]:
    """Read every session of these years as it would have been read then. DataMissing where features are not built."""
    told = []
    for done, year in enumerate(years):
        progress("alarms by year", done, len(years))
        training = training_panel(session, first_on=date(year - _REFERENCE_YEARS, 1, 1), last_on=date(year - 1, 12, 31))
        if training is None:
            raise DataMissing(f"the years before {year} are too few to tell what is usual: load earlier bars")
        # The first windows of a year reach into the last month of the year before.
        counts = count_sessions(training, first_on=date(year - 1, 11, 1), last_on=date(year, 12, 31))
        sessions = count_sessions(training, first_on=date(year, 1, 1), last_on=date(year, 12, 31))
        told.append(_year(year, training, counts[-len(sessions) - WINDOW_SESSIONS + 1 :]))
    progress("alarms by year", len(years), len(years))
    return told


def _year(year: int, training: TrainingPanel, counts: Counts) -> YearOfAlarms:
    panel = read_panel(training.reference, counts)
    judged = judge_inputs(panel, training.usual)
    months = max(len(panel.p) // WINDOW_SESSIONS, 1)
    last = np.arange(1, months + 1) * WINDOW_SESSIONS - 1
    last = np.minimum(last, len(panel.p) - 1)
    known = ~np.isnan(panel.p).all(axis=0)
    moved = _by_month(panel.p_shape <= ALARM_P * SHARE_OF_SHAPE, months)[:, known]
    gaps = _by_month((panel.p_missing <= ALARM_P * SHARE_OF_MISSING) | panel.is_dead, months)[:, known]
    rates = (moved | gaps).mean(axis=0)
    names = np.array(training.features)[known]
    most = np.argsort(-rates, kind="stable")
    compared = ~np.isnan(panel.psi[last])
    return YearOfAlarms(
        year=year,
        months=months,
        features=int(known.sum()),
        moved=float(moved.mean()),
        gaps=float(gaps.mean()),
        ks=float((_textbook(training, panel, counts, last)[compared] < _KS_P).mean()),
        psi_moderate=float((panel.psi[last][compared] > PSI_MODERATE).mean()),
        psi_large=float((panel.psi[last][compared] > PSI_LARGE).mean()),
        model_months=int(_by_month((judged.p <= ALARM_P)[:, None], months).sum()),
        drifted=tuple(str(names[place]) for place in most[:5] if rates[place] > 0),
    )


def _by_month(alarms: np.ndarray, months: int) -> np.ndarray:
    """Whether any day of each month alarms; the last days of a year that fill no month count to its last."""
    bounds = np.arange(months) * WINDOW_SESSIONS
    return np.asarray(np.maximum.reduceat(alarms, bounds, axis=0))


def _textbook(training: TrainingPanel, panel: PanelDrift, counts: Counts, last: np.ndarray) -> Floats:
    """p-values of the two-sample Kolmogorov-Smirnov test as if all values were independent (Smirnov's limit)."""
    then = training.known.astype(np.float64)
    now = np.array([counts[end : end + WINDOW_SESSIONS, :, :BINS].sum(axis=(0, 2)) for end in last], dtype=np.float64)
    size = now * then / np.maximum(now + then, 1.0)
    return np.asarray(stats.kstwobign.sf(panel.ks[last] * np.sqrt(size)))
