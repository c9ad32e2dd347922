"""The rows of a window that a recipe learns from."""

import numpy as np

from core.errors import DataMissing
from ml_models.dataset import Dataset, Matrix, Rows, gather
from ml_models.eligibility import Values, filter_inputs, teaching_rows
from ml_models.recipe import Recipe


def gather_lessons(recipe: Recipe, rows: Dataset, window: slice) -> Rows:
    """The sampled rows of panel.sessions[window] that pass the recipe's filter, or lack its inputs, and have a label.

    DataMissing where the window has no rows at all.
    """
    parts = []
    for part in rows.window(window):
        mask = ~np.isnan(part.labels)
        for _, day in part.days():
            mask[day] &= teaching_rows(recipe, filter_columns(recipe, rows, part.X[day]))
        parts.append((part, mask))
    if not parts:
        raise DataMissing(f"{recipe.strategy} has no feature rows in its window; run: acis features build")
    return gather(parts)


def filter_columns(recipe: Recipe, rows: Dataset, X: Matrix) -> Values:
    """The columns of X that the recipe's filter reads, by name."""
    return {name: X[:, rows.features.index(name)] for name in filter_inputs(recipe)}
