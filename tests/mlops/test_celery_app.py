"""The worker's settings, and what becomes of a payload."""

from datetime import date
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

import mlops.celery_app
from core.errors import IntegrityBroken, NotASession, Refused
from core.jobs import BuildFeatures, Job, Nightly
from mlops.celery_app import QUEUED, app, perform


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs end here instead of in their files."""
    seen: list[Job] = []
    stand_in = ModuleType("stand_in")
    stand_in.perform = lambda job, _: seen.append(job)  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setattr(mlops.celery_app, "import_module", lambda _: stand_in)
    return seen


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: Job, __: object) -> None:
        raise error

    stand_in = ModuleType("stand_in")
    stand_in.perform = fail  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setattr(mlops.celery_app, "import_module", lambda _: stand_in)


class TestPerform:
    def test_hands_the_parsed_payload_on(self, done: list[Job]) -> None:
        assert perform(Nightly, {"as_of": "2017-06-30"}) == "done"
        assert done == [Nightly(as_of=date(2017, 6, 30))]

    @pytest.mark.parametrize("payload", [{"as_of": "2017-13-01"}, {"as_off": "2017-06-30"}, {"as_of": ["2017-06-30"]}])
    def test_malformed_payload_starts_nothing(self, done: list[Job], payload: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            perform(Nightly, payload)
        assert done == []

    def test_holiday_is_no_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refusing(monkeypatch, NotASession(date(2017, 7, 4), date(2017, 7, 3), date(2017, 7, 5)))
        assert perform(Nightly, {}) == "no session"

    def test_refusal_is_an_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refusing(monkeypatch, Refused("already running"))
        assert perform(BuildFeatures, {}) == "refused"

    def test_broken_invariant_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refusing(monkeypatch, IntegrityBroken("the journal does not balance"))
        with pytest.raises(IntegrityBroken):
            perform(Nightly, {})

    @pytest.mark.parametrize("kind", QUEUED, ids=lambda kind: kind.name)
    def test_every_queued_job_has_its_way_in(self, kind: type[Job]) -> None:
        module = import_module(f"mlops.jobs.{kind.name.replace('-', '_')}")
        assert callable(module.perform)


class TestSettings:
    def test_a_message_lives_longer_than_the_longest_job(self) -> None:
        assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit

    def test_a_lost_worker_gives_its_job_back(self) -> None:
        assert app.conf.task_acks_late
        assert app.conf.task_reject_on_worker_lost
        assert app.conf.worker_prefetch_multiplier == 1

    def test_only_json_is_taken(self) -> None:
        assert app.conf.accept_content == ["json"]
        assert app.conf.task_serializer == "json"

    def test_a_process_does_one_job(self) -> None:
        """So that no night shares one with a training or with MLflow: see ADR 0016."""
        assert app.conf.worker_max_tasks_per_child == 1
