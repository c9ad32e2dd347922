"""The loop: readings become alerts; an alarm holds, retrains, is judged, and is kept or promoted, once a month."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from sqlalchemy.orm import Session

from core.errors import NotASession
from database.queries import runs
from database.queries.drift import put_readings
from database.queries.runs import find_run
from database.tables.drift import DriftReading
from database.tables.models import ModelVersion
from market_data.calendars import next_session, sessions_between
from mlops import once
from mlops.jobs import respond_to_drift, watch_drift
from mlops.jobs.respond_to_drift import run_respond_to_drift
from mlops.jobs.watch_drift import run_watch_drift
from registry import drift
from registry.alerts import open_alerts
from registry.roles import champions
from registry.service import Candidate, judge_candidates
from tests.factories.models import create_model
from tests.factories.roles import create_role

NAME = "screener-momentum_largecap"
DAYS = sessions_between(date(2017, 6, 1), date(2017, 7, 31))


@pytest.fixture(autouse=True)
def transaction_of_the_test(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs' transactions are steps of the test's own, which is rolled back: roles are never deleted."""

    @contextmanager
    def transaction() -> Iterator[Session]:
        with session.begin_nested():
            yield session

    for module in (once, watch_drift, respond_to_drift):
        monkeypatch.setattr(module, "transaction", transaction)
    monkeypatch.setattr(runs, "exclusive_run", lambda job, as_of, book: nullcontext())


def _champion(session: Session) -> ModelVersion:
    model = create_model(session, year=2017)
    create_role(session, model)
    return model


class Readings:
    """Stands in for the measures: on the sessions in `alarming` the version `of` alarms."""

    def __init__(self, alarming: Sequence[date], of: Sequence[int]) -> None:
        self.alarming, self.of = set(alarming), set(of)

    def read(
        self, session: Session, *, as_of: date, outcomes: pl.DataFrame, model_version_ids: Sequence[int] = ()
    ) -> drift.DriftReport:
        """As `registry.drift.read_drift`."""
        watched = {model.model_version_id for model in drift.watched_versions(session, as_of=as_of)}
        rows = [
            DriftReading(
                session_on=as_of,
                subject_kind="screener",
                subject=NAME,
                model_version_id=key,
                measure="inputs",
                value=0.3 if key in self.of and as_of in self.alarming else 0.0,
                threshold=0.1,
                p_value=0.01,
                is_alarm=key in self.of and as_of in self.alarming,
                summary=f"version id {key} reads what it never learned",
            )
            for key in sorted(watched | set(model_version_ids))
        ]
        put_readings(session, rows)
        return drift.report(session, as_of=as_of)


def _watch(monkeypatch: pytest.MonkeyPatch, readings: Readings) -> None:
    for module in (watch_drift, respond_to_drift):
        monkeypatch.setattr(module, "read_drift", readings.read)
        monkeypatch.setattr(module, "outcomes", lambda **_: pl.DataFrame())


class Workshop:
    """Stands in for training and for the gate: `verdict` is what the new version is told."""

    def __init__(self, verdict: str) -> None:
        self.verdict, self.trained_for = verdict, []  # type: tuple[str, list[date]]

    def plan(self, session: Session, *, strategies: Sequence[str], serve_from_on: date) -> Any:
        """As `ml_models.service.plan_retraining`."""
        self.trained_for.append(serve_from_on)
        return SimpleNamespace(strategies=strategies, serve_from_on=serve_from_on)

    def train(self, plan: Any) -> Iterator[Any]:
        """As `ml_models.service.train_screeners`."""
        yield from ((strategy, plan.serve_from_on) for strategy in plan.strategies)

    def store(self, session: Session, trained: tuple[str, date]) -> Any:
        """As `ml_models.service.store_fold`."""
        strategy, serve_from_on = trained
        version = len(self.trained_for) + 1
        model = create_model(session, strategy=strategy, version=version, valid_from_on=serve_from_on)
        return SimpleNamespace(strategy=strategy, version=version, model_version_id=model.model_version_id)

    def judge(self, session: Session, *, as_of: date) -> list[Candidate]:
        """As `registry.service.judge_candidates`, of the newest version alone."""
        newest = [m for m in drift.watched_versions(session, as_of=as_of) if m.strategy == "momentum_largecap"][-1]
        return [
            Candidate(
                kind="screener",
                strategy=newest.strategy,
                name=newest.name,
                version=newest.version,
                model_version_id=newest.model_version_id,
                verdict_id=1,
                verdict=self.verdict,
                outcome="promoted" if self.verdict == "pass" else "registered",
                sentence=f"{newest.name} version {newest.version} was judged",
            )
        ]


@contextmanager
def _workshop(monkeypatch: pytest.MonkeyPatch, verdict: str) -> Iterator[Workshop]:
    workshop = Workshop(verdict)
    with monkeypatch.context() as patch:
        patch.setattr(respond_to_drift, "plan_retraining", workshop.plan)
        patch.setattr(respond_to_drift, "record_trials", lambda session, plan: None)
        patch.setattr(respond_to_drift, "train_screeners", workshop.train)
        patch.setattr(respond_to_drift, "store_fold", workshop.store)
        patch.setattr(respond_to_drift, "judge_candidates", workshop.judge)
        yield workshop


class TestWatch:
    def test_calm_night_leaves_a_run_and_no_alert(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        model = _champion(session)
        _watch(monkeypatch, Readings([], [model.model_version_id]))
        told = run_watch_drift(as_of=DAYS[0])
        assert [(one["name"], one["state"]) for one in told["models"]] == [(NAME, "calm")]
        run = find_run(session, job="watch-drift", as_of=DAYS[0], book="models")
        assert run is not None
        assert (run.status, list(run.steps)) == ("succeeded", ["outcomes", "reading", "alerts"])
        assert open_alerts(session) == []

    def test_alerts_come_at_once_and_are_settled_when_it_is_over(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = _champion(session)
        _watch(monkeypatch, Readings(DAYS[1:5], [model.model_version_id]))
        severities = []
        for day in DAYS[:9]:
            run_watch_drift(as_of=day)
            severities.append([alert.severity for alert in open_alerts(session, subject=NAME)])
        assert severities[0] == []
        assert severities[1:3] == [["notice"], ["warning"]]
        assert severities[-1] == []

    def test_twice_is_once(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        model = _champion(session)
        _watch(monkeypatch, Readings([DAYS[0]], [model.model_version_id]))
        first = run_watch_drift(as_of=DAYS[0])
        assert run_watch_drift(as_of=DAYS[0]) == first
        assert [alert.times for alert in open_alerts(session)] == [1]

    def test_a_holiday_is_refused(self) -> None:
        with pytest.raises(NotASession):
            run_watch_drift(as_of=date(2017, 7, 4))

    def test_a_failed_run_says_why_and_can_be_run_again(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = _champion(session)
        _watch(monkeypatch, Readings([], [model.model_version_id]))

        def broken(**_: object) -> pl.DataFrame:
            raise RuntimeError("no scores today")

        with monkeypatch.context() as patch:
            patch.setattr(watch_drift, "outcomes", broken)
            with pytest.raises(RuntimeError):
                run_watch_drift(as_of=DAYS[0])
        run = find_run(session, job="watch-drift", as_of=DAYS[0], book="models")
        assert run is not None
        assert (run.status, run.error) == ("failed", "no scores today")
        assert run_watch_drift(as_of=DAYS[0])["models"]


class TestResponse:
    def _alarm(self, session: Session, monkeypatch: pytest.MonkeyPatch, days: Sequence[date] = DAYS) -> ModelVersion:
        model = _champion(session)
        _watch(monkeypatch, Readings(days, [model.model_version_id]))
        for day in DAYS[:3]:
            run_watch_drift(as_of=day)
        return model

    def test_nothing_follows_from_calm(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self._alarm(session, monkeypatch, days=[])
        assert run_respond_to_drift(as_of=DAYS[2]) == []

    def test_the_gate_takes_a_drifted_champion_out_of_service(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The real gate: a champion whose inputs have drifted serves no longer, and without training none follows."""
        self._alarm(session, monkeypatch)
        with _workshop(monkeypatch, "not_proven") as workshop:
            monkeypatch.setattr(respond_to_drift, "judge_candidates", judge_candidates)
            monkeypatch.setattr(workshop, "train", lambda plan: iter(()))
            monkeypatch.setattr(respond_to_drift, "train_screeners", lambda plan: iter(()))
            (told,) = run_respond_to_drift(as_of=DAYS[2])
        assert champions(session, kind="screener", as_of=DAYS[2]) == {}
        assert told["decision"].startswith("kept as it is")

    def test_alarm_is_retrained_and_kept_where_the_gate_is_not_convinced(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._alarm(session, monkeypatch)
        with _workshop(monkeypatch, "not_proven") as workshop:
            (told,) = run_respond_to_drift(as_of=DAYS[2])
            assert run_respond_to_drift(as_of=DAYS[2]) == [told]
        assert workshop.trained_for == [next_session(DAYS[2])]
        assert (told["name"], told["version"], told["retrained"], told["verdict"]) == (NAME, 1, 2, "not_proven")
        assert told["decision"].startswith("kept: the new version does not serve clients")
        assert "never learned" in told["alarm"]
        run = find_run(session, job="respond-to-drift", as_of=DAYS[2], book="models")
        assert run is not None
        assert list(run.steps) == ["looking", "holding", "retraining", "reading", "judging"]

    def test_alarm_is_retrained_and_promoted_by_the_gate(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._alarm(session, monkeypatch)
        with _workshop(monkeypatch, "pass"):
            (told,) = run_respond_to_drift(as_of=DAYS[2])
        assert told["outcome"] == "promoted"
        assert told["decision"].startswith("promoted")

    def test_one_retraining_in_twenty_one_sessions(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """The champion goes on alarming: it is trained anew once, and again only after 21 sessions."""
        model = self._alarm(session, monkeypatch)
        retrained = []
        with _workshop(monkeypatch, "not_proven") as workshop:
            monkeypatch.setattr(workshop, "store", None)
            for number, day in enumerate(DAYS[2:30]):
                run_watch_drift(as_of=day)
                # The new fold reads the same and alarms as well.
                _watch(monkeypatch, Readings(DAYS, range(model.model_version_id, model.model_version_id + 10)))
                told = run_respond_to_drift(as_of=day)
                if told and told[0]["retrained"] is not None:
                    retrained.append(number)
        assert retrained == [0, 21]

    def test_the_last_session_of_a_year_waits_for_the_new_fold(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = _champion(session)
        last = date(2017, 12, 29)
        _watch(monkeypatch, Readings([last], [model.model_version_id]))
        run_watch_drift(as_of=last)
        with _workshop(monkeypatch, "pass") as workshop:
            (told,) = run_respond_to_drift(as_of=last)
        assert workshop.trained_for == []
        assert "the new year's fold begins to serve" in told["decision"]
