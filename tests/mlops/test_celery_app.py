"""The worker's settings, and what a message may say."""

from importlib import import_module

import pytest
from kombu.exceptions import OperationalError

import mlops.celery_app
from core.errors import Unreachable
from core.jobs import KINDS, Job, Lane
from mlops.celery_app import TASK, app, send
from mlops.jobs import JOBS
from mlops.workers import LANES


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
    def test_every_job_has_its_way_in(self, kind: type[Job]) -> None:
        word = kind.name.replace("-", "_")
        assert word in JOBS
        assert callable(import_module(f"mlops.jobs.{word}").perform)

    @pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
    def test_names_fit_their_column(self, kind: type[Job]) -> None:
        assert len(kind.name) <= 32

    def test_what_may_be_killed_may_be_stopped(self) -> None:
        assert all(kind.is_cancellable for kind in KINDS.values() if kind.may_be_killed)

    def test_every_lane_has_a_place(self) -> None:
        assert set(LANES) == set(Lane)
        assert LANES[Lane.FIRM] == 1, "what changes the firm's books runs alone and in order"


class TestSettings:
    def test_a_message_lives_longer_than_the_longest_job(self) -> None:
        assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit

    def test_a_lost_worker_gives_its_job_back(self) -> None:
        assert app.conf.task_acks_late
        assert app.conf.task_reject_on_worker_lost
        assert app.conf.worker_prefetch_multiplier == 1
        assert app.conf.worker_cancel_long_running_tasks_on_connection_loss
        assert app.conf.worker_soft_shutdown_timeout > 0

    def test_only_json_is_taken(self) -> None:
        assert app.conf.accept_content == ["json"]
        assert app.conf.task_serializer == "json"

    def test_a_process_does_one_job(self) -> None:
        """So that no night shares one with a training or with MLflow: see ADR 0016."""
        assert app.conf.worker_max_tasks_per_child == 1

    def test_a_queue_that_is_away_is_waited_for(self) -> None:
        assert app.conf.broker_connection_max_retries is None


class TestSend:
    def test_sends_the_number_and_nothing_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[tuple[str, object]] = []
        monkeypatch.setattr(mlops.celery_app.app, "send_task", lambda name, kwargs, retry: sent.append((name, kwargs)))
        send(7)
        assert sent == [(TASK, {"job_id": 7})]

    def test_queue_away_is_unreachable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OperationalError("nobody there")

        monkeypatch.setattr(mlops.celery_app.app, "send_task", fail)
        with pytest.raises(Unreachable, match="acis up"):
            send(7)
