"""Training and probing in the foreground, for the commands that need models: what is there is left alone."""

from collections.abc import Sequence

from core.progress import Progress
from database.session import transaction
from mlops.jobs.audit_leaks import run_audit_leaks
from mlops.jobs.train_allocator import AllocatorFold, run_train_allocator
from mlops.jobs.train_screener import TrainingReport, run_train_screener
from registry.leaks import LeakState, leak_state

FIRST_SCREENER_YEAR = 2009
FIRST_ALLOCATOR_YEAR = 2011


def train_missing(*, years: Sequence[int], progress: Progress) -> tuple[TrainingReport, list[AllocatorFold]]:
    """Train what nights of `years` need: the screeners up to the last of them, the allocators of each.

    An allocator learns from the screeners' out-of-fold scores of all years before its own, so those are trained too.
    """
    screeners = run_train_screener(years=range(FIRST_SCREENER_YEAR, max(years) + 1), progress=progress)
    allocators = run_train_allocator(years=[year for year in years if year >= FIRST_ALLOCATOR_YEAR], progress=progress)
    return screeners, list(allocators.trained)


def audit_unprobed(*, progress: Progress) -> LeakState:
    """Probe the code for leaks unless exactly this code was; the gate believes nothing that was not probed."""
    with transaction() as session:
        state = leak_state(session)
    if state.status != "not_run":
        return state
    run_audit_leaks(progress=progress)
    with transaction() as session:
        return leak_state(session)
