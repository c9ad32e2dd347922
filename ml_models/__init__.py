"""Floor 7, a specialist: screeners, from label to stored score.

XGBoost and LightGBM import scikit-learn where it is installed, and with it joblib, which loads pickles. Nothing here
uses what they offer for it, so they are imported once, here, as if it were not there: half a second less for every
process, and no loader of pickles in one that serves. Where something else imported it before, they find it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Inside, importing `name` fails as it does where it is not installed."""
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = None  # type: ignore[assignment]  # how the import system is told so
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]


with _without("sklearn"):
    for _library in ("xgboost", "lightgbm"):
        import_module(_library)
