"""Pictures of a configuration for the scientists: measures by year, calibration, what it earned out of sample."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from database.queries.trials import ReturnSeries
from database.tables.models import ModelVersion

matplotlib.use("Agg")
_FEATURES_SHOWN = 20


def measures_plot(folds: Sequence[ModelVersion]) -> Figure:
    """AUC and rank IC of each fold's test year."""
    judged = [fold for fold in folds if fold.metrics["auc"] is not None]
    years = [fold.valid_from_on.year for fold in judged]
    figure = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.axhline(0.5, color="grey", linewidth=0.8)
    upper.plot(years, [fold.metrics["auc"] for fold in judged], marker="o")
    upper.set(title=f"{folds[0].name}, out of sample", ylabel="AUC")
    lower.axhline(0.0, color="grey", linewidth=0.8)
    lower.plot(years, [fold.metrics["rank_ic"] for fold in judged], marker="o")
    lower.set(xlabel="test year", ylabel="rank IC")
    return figure


def calibration_plot(folds: Sequence[ModelVersion]) -> Figure:
    """Scores against what came of them, by tenths, and the forward return of each tenth."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for fold in folds:
        tenths = fold.metrics["calibration"]
        if tenths:
            year = str(fold.valid_from_on.year)
            left.plot([tenth[0] for tenth in tenths], [tenth[1] for tenth in tenths], marker=".", label=year)
            right.plot(range(1, len(tenths) + 1), [100 * tenth[2] for tenth in tenths], marker=".", label=year)
    left.axline((0.5, 0.5), slope=1.0, color="grey", linewidth=0.8)
    left.set(title="calibration", xlabel="score", ylabel="share that beat the median")
    right.set(title="forward return", xlabel="tenth of the scores", ylabel="percent in 21 sessions")
    if left.lines[1:]:
        right.legend(fontsize="x-small")
    return figure


def importance_plot(newest: ModelVersion) -> Figure:
    """The features that move the newest fold's scores most, by their share of all contributions."""
    shares = sorted(newest.metrics.get("importance", {}).items(), key=lambda item: item[1])[-_FEATURES_SHOWN:]
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in shares], [100 * share for _, share in shares])
    axes.set(
        title=f"{newest.name}, serving from {newest.valid_from_on}", xlabel="percent of mean |contribution|, validation"
    )
    return figure


def growth_plot(title: str, returns: Mapping[str, ReturnSeries], *, first: str, caption: str) -> Figure:
    """What one unit grew to in each series over all out-of-sample years; seeds and doubled costs in thin lines."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, series in sorted(returns.items(), key=lambda item: item[0] != first):
        is_variant = name.startswith("seed-") or name.endswith("_costs_doubled")
        axes.plot(
            series.sessions.astype("datetime64[ms]").astype(object),
            np.cumprod(1.0 + series.returns),
            label=None if name.startswith("seed-") else name.replace("_", " "),
            linewidth=2.0 if name == first else 0.5 if is_variant else 1.0,
        )
    axes.set(title=title, ylabel="growth of one, log scale", yscale="log")
    axes.legend(fontsize="x-small")
    figure.text(0.01, 0.005, caption, fontsize="x-small")
    return figure
