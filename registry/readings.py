"""Measures of drift as rows: one a session, subject and measure, each with its sentence."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from database.tables.drift import DriftReading
from database.tables.models import ModelVersion
from features.service import describe
from quant.drift import (
    ALARM_P,
    PSI_LARGE,
    PSI_MODERATE,
    REFERENCE_WINDOWS_MIN,
    SHARE_OF_MISSING,
    SHARE_OF_SHAPE,
    InputsDrift,
    PanelDrift,
    count_days,
    fit_bins,
    judge_inputs,
    read_panel,
    refer,
)
from quant.placement import Floats, holm
from quant.score_drift import (
    Calibration,
    brier_scores,
    calibration_error,
    daily_means,
    fell_p_value,
    rank_correlations,
    ranking_quality,
)
from registry import drift_words
from registry.panels import TrainingPanel

# A model's risk of a false alarm is shared evenly between what it reads and how it does.
INPUTS_ALARM_P = PERFORMANCE_ALARM_P = ALARM_P / 2
# Screeners are judged once in five sessions: five judged sessions are a month, thirteen a quarter.
_SCORES_WINDOW, _PERFORMANCE_WINDOW, _MONTH = 5, 13, 4
_LABEL_AGE_DAYS_MAX = 60  # 21 sessions of the label, a week between two judged sessions, a week until it is extended
_MARKET_WIDE = frozenset({"macro", "market"})


class Rows:
    """Readings of one subject on one session, collected by `add`."""

    def __init__(self, session_on: date, kind: str, subject: str, model_version_id: int | None = None) -> None:
        self._same: dict[str, Any] = {
            "session_on": session_on,
            "subject_kind": kind,
            "subject": subject,
            "model_version_id": model_version_id,
        }
        self.readings: list[DriftReading] = []

    def add(
        self,
        measure: str,
        value: float | None,
        summary: str,
        *,
        threshold: float | None = None,
        p: float | None = None,
        is_alarm: bool = False,
    ) -> None:
        """One measure; a value that is no number is unknown."""
        known = None if value is None or not np.isfinite(value) else float(value)
        self.readings.append(
            DriftReading(
                **self._same,
                measure=measure,
                value=known,
                threshold=threshold,
                p_value=p,
                is_alarm=bool(is_alarm),
                summary=summary,
            )
        )


def feature_readings(session_on: date, names: Sequence[str], panel: PanelDrift) -> list[DriftReading]:
    """Every measure of every feature's newest window."""
    found = []
    for place, name in enumerate(names):
        rows = Rows(session_on, "feature", name)
        now = {field: float(getattr(panel, field)[-1, place]) for field in _OF_FEATURE}
        if np.isnan(now["p"]):
            rows.add("ks", None, drift_words.nothing_to_compare(name))
        else:
            _add_feature(rows, name, now, float(panel.ks_line[place]))
        found += rows.readings
    return found


_OF_FEATURE = (
    "ks",
    "psi",
    "mean_shift",
    "spread_shift",
    "missing",
    "missing_shift",
    "p_shape",
    "p_missing",
    "p",
    "is_dead",
)


def _add_feature(rows: Rows, name: str, now: Mapping[str, float], line: float) -> None:
    gaps_alarm = now["is_dead"] > 0 or now["p_missing"] <= ALARM_P * SHARE_OF_MISSING
    gaps = drift_words.feature_gaps(name, missing=now["missing"], shift=now["missing_shift"], is_alarm=gaps_alarm)
    rows.add("missing_shift", now["missing_shift"], gaps, p=now["p_missing"], is_alarm=gaps_alarm)
    if np.isnan(now["ks"]):
        rows.add("ks", None, gaps)
        return
    moved = now["p_shape"] <= ALARM_P * SHARE_OF_SHAPE
    shape = drift_words.feature_shape(
        name,
        mean_shift=now["mean_shift"],
        spread_shift=now["spread_shift"],
        distance=now["ks"],
        line=line,
        p=now["p_shape"],
        is_alarm=moved,
    )
    rows.add("ks", now["ks"], shape, threshold=line, p=now["p_shape"], is_alarm=moved)
    rows.add("mean_shift", now["mean_shift"], shape)
    rows.add("spread_shift", now["spread_shift"], shape)
    index = drift_words.stability(name, index=now["psi"], moderate=PSI_MODERATE, large=PSI_LARGE)
    rows.add("psi", now["psi"], index, threshold=PSI_LARGE)


def feature_weights(model: ModelVersion, names: Sequence[str]) -> Floats:
    """How much the model uses each feature: its stored importance, else the features that it reads, all alike.

    A screener without a stored importance uses a feature by its recipe's emphasis, and never what all stocks of a day
    share: it ranks nothing.
    """
    importance = model.metrics.get("importance") or model.manifest.get("importance")
    if importance:
        return np.array([float(importance.get(name, 0.0)) for name in names])
    manifest = model.manifest
    read = set(manifest.get("features") or [*manifest.get("stock_columns", ()), *manifest.get("context_columns", ())])
    if model.kind == "allocator":
        return np.array([float(name in read) for name in names])
    emphasis = manifest.get("emphasis", {})
    groups = [describe(name).group for name in names]
    return np.array(
        [
            float(emphasis.get(group, 1.0)) if (not read or name in read) and group not in _MARKET_WIDE else 0.0
            for name, group in zip(names, groups, strict=True)
        ]
    )


def add_input_readings(rows: Rows, model: ModelVersion, month: tuple[TrainingPanel, PanelDrift] | None) -> None:
    """One verdict over all that the model reads; `month` is what is known of its training window, and this month."""
    if month is None:
        rows.add("inputs", None, f"the training window of {model.name} is too short to tell what is usual")
        return
    training, panel = month
    weights = feature_weights(model, training.features)
    judged = judge_inputs(panel, training.usual, weights, alarm_p=INPUTS_ALARM_P)
    p = float(judged.p[-1])
    alarm = p <= INPUTS_ALARM_P
    summary = _inputs_sentence(model.name, training, panel, judged, weights, alarm)
    rows.add("inputs", judged.share[-1], summary, threshold=judged.share_line, p=p, is_alarm=alarm)


def _inputs_sentence(
    name: str, training: TrainingPanel, panel: PanelDrift, judged: InputsDrift, weights: Floats, is_alarm: bool
) -> str:
    gaps = (panel.is_dead[-1] | (panel.p_missing[-1] <= ALARM_P * SHARE_OF_MISSING)) & (weights > 0)
    shape = (panel.p_shape[-1] <= ALARM_P * SHARE_OF_SHAPE) & (weights > 0) & ~gaps
    heaviest = np.argsort(-weights, kind="stable")
    return drift_words.model_inputs(
        name,
        features=judged.features,
        moved=[training.features[place] for place in heaviest if shape[place]],
        gone=[training.features[place] for place in heaviest if gaps[place]],
        share=float(judged.share[-1]),
        line=judged.share_line,
        is_alarm=is_alarm,
        since=(training.first_on, training.last_on),
    )


def add_score_readings(rows: Rows, name: str, said: pl.DataFrame, *, as_of: date) -> None:
    """How the screener ranks, how its probabilities hold, and what to expect of what is not judged yet.

    `said` are its out-of-sample scores up to `as_of` by session: session_on, score, forward, label, known_on.
    """
    sessions, day = np.unique(said["session_on"].to_numpy(), return_inverse=True)
    if not len(sessions):
        return
    scores = said["score"].to_numpy().astype(np.float64)
    is_known = (said["known_on"] <= as_of).fill_null(False).to_numpy() & ~np.isnan(said["label"].to_numpy())
    measures = _performance(day, scores, said, is_known, len(sessions)) | _score_shape(day, scores, len(sessions))
    adjusted = dict(zip(measures, holm(np.array([p for *_, p in measures.values()])), strict=True))
    for measure, (what, value, usual, count, p) in measures.items():
        alarm = bool(adjusted[measure] <= PERFORMANCE_ALARM_P)
        summary = drift_words.performance(
            name, what, value=value, usual=usual, sessions=count, p=float(p), is_alarm=alarm
        )
        rows.add(measure, value, summary, p=float(p), is_alarm=alarm)
    _add_expectation(rows, name, day, scores, said["label"].to_numpy(), is_known, len(sessions))
    _add_label_age(rows, name, sessions, day, is_known, as_of)


_Measure = tuple[str, float, float | None, int, float]


def _performance(
    day: np.ndarray, scores: Floats, said: pl.DataFrame, is_known: np.ndarray, days: int
) -> dict[str, _Measure]:
    """Rank correlation and Brier score of the newest quarter of judged sessions beside all before."""
    forward = np.where(is_known, said["forward"].to_numpy(), np.nan)
    label = np.where(is_known, said["label"].to_numpy(), np.nan)
    series = {
        "rank_ic": ("rank correlation with what came", rank_correlations(day, scores, forward, days), 1.0),
        "brier": ("mean squared error (Brier)", daily_means(day, brier_scores(scores, label), days), -1.0),
    }
    found: dict[str, _Measure] = {}
    for measure, (what, values, sign) in series.items():
        known = values[np.isfinite(values)]
        before, recent = known[:-_PERFORMANCE_WINDOW], known[-_PERFORMANCE_WINDOW:]
        p = fell_p_value(sign * before, sign * recent, window=_PERFORMANCE_WINDOW, month=_MONTH)
        if p is not None:
            found[measure] = (what, float(recent.mean()), float(before.mean()), len(recent), p)
    return found


def _score_shape(day: np.ndarray, scores: Floats, days: int) -> dict[str, _Measure]:
    """How far the newest month's scores are from all before, by the calibrated Kolmogorov-Smirnov distance."""
    before = days - _SCORES_WINDOW
    if before < REFERENCE_WINDOWS_MIN * _SCORES_WINDOW:
        return {}
    column = [scores.astype(np.float32)]
    bins = fit_bins([column[0][day < before]])
    counts = count_days(bins, column, day, days)
    panel = read_panel(refer(bins, counts[:before], window=_SCORES_WINDOW), counts[before:])
    if np.isnan(panel.p_shape[-1, 0]):
        return {}
    distance, p = float(panel.ks[-1, 0]), float(panel.p_shape[-1, 0])
    return {"score_ks": ("distance of the scores from all before", distance, None, _SCORES_WINDOW, p)}


def _add_expectation(
    rows: Rows, name: str, day: np.ndarray, scores: Floats, label: Floats, is_known: np.ndarray, days: int
) -> None:
    """Calibration error, and the area under the curve expected before labels beside what came of the newest quarter."""
    judged = np.unique(day[is_known])
    if len(judged) < 2 * _PERFORMANCE_WINDOW:
        return
    newest = is_known & (day >= judged[-_PERFORMANCE_WINDOW])
    earlier = is_known & ~newest
    error = calibration_error(scores[newest], label[newest])
    rows.add("calibration_error", error, f"probabilities of {name} miss the frequencies by {error:.3f} on average")
    calibration = Calibration(scores[earlier], label[earlier])
    promised = ranking_quality(scores[newest], calibration(scores[newest]))
    came = ranking_quality(scores[newest], label[newest])
    if promised is not None and came is not None:
        rows.add("auc_gap", came - promised, f"AUC of {name} came to {came:.3f} where {promised:.3f} was to expect")
    waiting = ~is_known & (day >= days - _SCORES_WINDOW)
    if waiting.any():
        calibrated = Calibration(scores[is_known], label[is_known])
        expected = ranking_quality(scores[waiting], calibrated(scores[waiting]))
        summary = f"AUC to expect of {name} from scores that no label is known of yet: {expected or 0.5:.3f}"
        rows.add("expected_auc", expected, summary)


def _add_label_age(
    rows: Rows, name: str, sessions: np.ndarray, day: np.ndarray, is_known: np.ndarray, as_of: date
) -> None:
    """Labels that should be known by now and are not: somebody has stopped judging."""
    ages = (np.datetime64(as_of) - sessions).astype(np.int64)
    unjudged = np.setdiff1d(np.flatnonzero(ages > _LABEL_AGE_DAYS_MAX), np.unique(day[is_known]))
    newest = np.max(day[is_known], initial=-1)
    late = unjudged[unjudged > newest]
    oldest = int(ages[late].max(initial=0))
    told = f"no label of {name} is late"
    if oldest:
        told = f"scores of {name} that are {oldest} days old have no label yet: nobody judges what it says"
    rows.add("label_age_days", float(oldest), told, threshold=float(_LABEL_AGE_DAYS_MAX), is_alarm=oldest > 0)


def add_allocation_readings(
    rows: Rows, name: str, *, turnover: Floats, distance: Floats, window: int, context: Floats | None, clip: float
) -> None:
    """How an allocator has weighed lately: `turnover` and `distance` from equal weight of each session, oldest first.

    `context` are today's market columns in the policy's own scale, clipped by it at `clip`; None where unknown.
    """
    for measure, values, what in (
        ("turnover", turnover, "turnover a session"),
        ("equal_weight_distance", distance, "distance from equal weights"),
    ):
        if not len(values):
            continue
        before, recent = values[:-window], values[-window:]
        sign = -1.0 if measure == "turnover" else 1.0
        p = fell_p_value(sign * before, sign * recent, window=window, month=window)
        alarm = p is not None and p <= PERFORMANCE_ALARM_P / 2
        usual = float(before.mean()) if len(before) else None
        summary = drift_words.performance(
            name, what, value=float(recent.mean()), usual=usual, sessions=len(recent), p=p, is_alarm=alarm
        )
        rows.add(measure, float(recent.mean()), summary, p=p, is_alarm=alarm)
    if context is not None and np.isfinite(context).any():
        outside = float((np.abs(context[np.isfinite(context)]) > clip).mean())
        told = f"{100 * outside:.0f} % of the market columns that {name} reads lie beyond what it can tell apart"
        rows.add("context_outside", outside, told)
