"""Lists that share names instead of imports, held side by side."""

from core.jobs import KINDS, Job
from ml_models.recipes import RECIPES
from mlops.jobs import JOBS
from strategies.library import STRATEGIES


def test_every_screener_has_its_strategy() -> None:
    assert set(RECIPES) == set(STRATEGIES)


def test_every_kind_of_job_can_be_queued_and_has_its_file() -> None:
    ours = {kind for kind in Job.__subclasses__() if kind.__module__ == Job.__module__}
    assert ours == set(KINDS.values())
    assert {name.replace("-", "_") for name in KINDS} <= set(JOBS)
