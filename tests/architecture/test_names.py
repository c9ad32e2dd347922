"""Lists that share names instead of imports, held side by side."""

from core.jobs import Job
from ml_models.recipes import RECIPES
from mlops.celery_app import QUEUED
from mlops.jobs import JOBS
from strategies.library import STRATEGIES


def test_every_screener_has_its_strategy() -> None:
    assert set(RECIPES) == set(STRATEGIES)


def test_every_kind_of_job_can_be_queued_and_has_its_file() -> None:
    assert set(Job.__subclasses__()) == set(QUEUED)
    assert {kind.name.replace("-", "_") for kind in QUEUED} <= set(JOBS)
