"""What is stored and said of drift: a synthetic universe in place of the feature store, real rows."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.errors import DataMissing
from database.queries.drift import newest_readings, put_readings
from database.tables.drift import DriftReading
from database.tables.models import ModelVersion
from market_data.calendars import sessions_between
from registry import drift, panels
from registry.drift import read_drift
from registry.drift_state import drift_state
from tests.factories.models import create_model
from tests.factories.panels import make_panel

FEATURES = ("momentum_21", "volatility_252", "return_on_equity", "vix_level")
STOCKS = 40
SESSIONS = sessions_between(date(2014, 1, 1), date(2017, 7, 31))
AS_OF = date(2017, 6, 30)
NOTHING_SAID = pl.DataFrame(
    schema={
        "strategy": pl.String,
        "session_on": pl.Date,
        "instrument_id": pl.Int32,
        "score": pl.Float32,
        "forward": pl.Float64,
        "label": pl.Float64,
        "known_on": pl.Date,
    }
)


@dataclass
class Universe:
    """Feature rows of every session; `columns` may be changed by a test."""

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    asked_to_on: list[date] = field(default_factory=list)

    def read(self, *, as_of: date, first_on: date, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """As `features.service.read_features`."""
        self.asked_to_on.append(as_of)
        rows = slice(bisect_left(SESSIONS, first_on), bisect_left(SESSIONS, as_of + timedelta(days=1)))
        days = SESSIONS[rows]
        frame = {
            "session_on": np.repeat(np.array(days, dtype="datetime64[D]"), STOCKS),
            "instrument_id": np.tile(np.arange(STOCKS, dtype=np.int32), len(days)),
            "in_universe": np.ones(len(days) * STOCKS, dtype=bool),
        }
        return pl.DataFrame(frame | {name: self.columns[name][rows].ravel() for name in columns or FEATURES})

    def since(self, first_on: date) -> slice:
        """The rows from a session on."""
        return slice(bisect_left(SESSIONS, first_on), None)


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Universe]:
    """A calm universe of four features."""
    random = np.random.default_rng(1)
    made = Universe({name: make_panel(random, days=len(SESSIONS), stocks=STOCKS) for name in FEATURES})
    for module in (panels, drift):
        monkeypatch.setattr(module, "read_features", made.read)
        monkeypatch.setattr(module, "feature_names", lambda: FEATURES)
    monkeypatch.setattr(panels, "current_snapshots", lambda session: {})
    panels._training_panel.cache_clear()
    yield made
    panels._training_panel.cache_clear()


def _model(session: Session, **fields: object) -> ModelVersion:
    usual: dict[str, object] = {"train_from_on": date(2014, 1, 2), "manifest": {"features": list(FEATURES)}}
    return create_model(session, year=2017, **{**usual, **fields})


def _reading(
    on: date, *, subject: str = "volatility_252", alarm: bool = False, value: float | None = 0.1
) -> DriftReading:
    return DriftReading(
        session_on=on,
        subject_kind="feature",
        subject=subject,
        model_version_id=None,
        measure="ks",
        value=value,
        threshold=0.2,
        p_value=0.5,
        is_alarm=alarm,
        summary=f"{subject} on {on}",
    )


class TestState:
    def test_what_was_never_read_is_unknown(self, session: Session) -> None:
        assert drift_state(session, name="volatility_252", as_of=AS_OF).state == "unknown"

    def test_later_readings_are_not_seen(self, session: Session) -> None:
        put_readings(session, [_reading(AS_OF + timedelta(days=3), alarm=True)])
        assert drift_state(session, name="volatility_252", as_of=AS_OF).state == "unknown"

    def test_old_words_are_none(self, session: Session) -> None:
        put_readings(session, [_reading(AS_OF - timedelta(days=20))])
        told = drift_state(session, name="volatility_252", as_of=AS_OF)
        assert (told.state, told.read_on) == ("unknown", AS_OF - timedelta(days=20))

    @pytest.mark.parametrize(
        ("alarms", "state"),
        [([True], "alarm"), ([True, False], "calm"), ([True, True, True, False, False], "alarm")],
    )
    def test_most_of_a_week_decides(self, session: Session, alarms: list[bool], state: str) -> None:
        days = sessions_between(AS_OF - timedelta(days=10), AS_OF)[-len(alarms) :]
        put_readings(session, [_reading(day, alarm=alarm) for day, alarm in zip(days, alarms, strict=True)])
        told = drift_state(session, name="volatility_252", as_of=AS_OF)
        assert (told.state, told.read_on) == (state, AS_OF)

    def test_what_has_nothing_to_compare_with_is_unknown(self, session: Session) -> None:
        put_readings(session, [_reading(AS_OF, value=None)])
        assert drift_state(session, name="volatility_252", as_of=AS_OF).state == "unknown"

    def test_a_version_is_told_by_its_own_readings(self, session: Session) -> None:
        old, new = (create_model(session, version=version) for version in (1, 2))
        for model, alarm in ((old, True), (new, False)):
            row = _reading(AS_OF, subject=model.name, alarm=alarm)
            row.subject_kind, row.model_version_id = "screener", model.model_version_id
            put_readings(session, [row])
        states = [
            drift_state(session, name=model.name, as_of=AS_OF, model_version_id=model.model_version_id).state
            for model in (old, new)
        ]
        assert states == ["alarm", "calm"]


class TestReading:
    def test_calm_universe_is_calm(self, session: Session, universe: Universe) -> None:
        model = _model(session)
        told = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        assert [(one.name, one.state) for one in told.models] == [(model.name, "calm")]
        assert told.features == len(FEATURES)

    def test_each_feature_says_its_measures(self, session: Session, universe: Universe) -> None:
        _model(session)
        read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        rows = {row.measure: row for row in newest_readings(session, subject="momentum_21", as_of=AS_OF)}
        assert set(rows) == {"ks", "psi", "mean_shift", "spread_shift", "missing_shift"}
        assert rows["psi"].threshold == 0.25
        assert rows["ks"].value is not None
        assert rows["ks"].value < (rows["ks"].threshold or 0.0)
        assert rows["ks"].summary.endswith(": calm")

    def test_twice_is_once(self, session: Session, universe: Universe) -> None:
        _model(session)
        first = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        count = session.scalar(select(func.count()).select_from(DriftReading))
        assert read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID) == first
        assert session.scalar(select(func.count()).select_from(DriftReading)) == count

    def test_what_moved_is_named_with_its_size(self, session: Session, universe: Universe) -> None:
        model = _model(session)
        rows = universe.since(date(2017, 5, 25))
        for name in ("momentum_21", "volatility_252"):
            universe.columns[name][rows] += 2.0
        told = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        assert set(told.drifted) == {"momentum_21", "volatility_252"}
        assert "reference deviations above its training years" in told.drifted["momentum_21"]
        assert told.models[0].state == "alarm"
        assert f"2 of the 3 features that {model.name} reads have drifted" in told.models[0].sentence
        assert "2 moved, for instance" in told.models[0].sentence

    def test_what_a_model_does_not_use_is_not_its_drift(self, session: Session, universe: Universe) -> None:
        """What all stocks share ranks nothing; what has no weight changes nothing."""
        _model(session, metrics={"importance": {"momentum_21": 1.0}})
        rows = universe.since(date(2017, 5, 25))
        for name in ("volatility_252", "vix_level"):
            universe.columns[name][rows] += 2.0
        told = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        assert set(told.drifted) == {"volatility_252", "vix_level"}
        assert told.models[0].state == "calm"

    def test_a_dead_column_is_named(self, session: Session, universe: Universe) -> None:
        _model(session)
        universe.columns["return_on_equity"][universe.since(date(2017, 6, 23))] = np.nan
        told = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        assert told.drifted["return_on_equity"].startswith("return_on_equity is unknown for 29 % of stocks, 0 %")
        assert "by gaps, for instance return_on_equity" in told.models[0].sentence

    def test_nothing_later_is_read(self, session: Session, universe: Universe) -> None:
        _model(session)
        before = read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        assert max(universe.asked_to_on) == AS_OF
        session.execute(delete(DriftReading))
        for name in FEATURES:
            universe.columns[name][universe.since(AS_OF + timedelta(days=1))] = 1e6
        assert read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID) == before

    def test_short_training_tells_nothing(self, session: Session, universe: Universe) -> None:
        model = _model(session, train_from_on=date(2016, 1, 4))
        create_model(session, year=2017, strategy="growth_largecap", train_from_on=date(2014, 1, 2))
        told = {one.name: one for one in read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID).models}
        assert told[model.name].state == "unknown"
        assert "too short" in told[model.name].sentence

    def test_a_session_without_features_is_refused(self, session: Session, universe: Universe) -> None:
        _model(session)
        with pytest.raises(DataMissing, match="2017-07-01 needs features of it"):
            read_drift(session, as_of=date(2017, 7, 1), outcomes=NOTHING_SAID)

    def test_a_version_that_begins_later_is_read_when_named(self, session: Session, universe: Universe) -> None:
        later = _model(session, version=2, valid_from_on=AS_OF + timedelta(days=3))
        read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID, model_version_ids=[later.model_version_id])
        told = drift_state(session, name=later.name, as_of=AS_OF, model_version_id=later.model_version_id)
        assert told.state == "calm"


def _said(model: ModelVersion, *, quality: float, newest_quality: float, judged_to_on: date = AS_OF) -> pl.DataFrame:
    """Weekly scores of 40 stocks; the newest quarter ranks as `newest_quality` says."""
    random = np.random.default_rng(5)
    days = [day for day in SESSIONS if day <= AS_OF][::5]
    frames = []
    for place, day in enumerate(days):
        strength = newest_quality if place >= len(days) - 20 else quality
        forward = random.normal(0.0, 0.1, STOCKS)
        score = 0.5 + 0.05 * (strength * forward / 0.1 + random.normal(size=STOCKS))
        known_on = day + timedelta(days=30)
        known = known_on <= judged_to_on
        frames.append(
            pl.DataFrame(
                {
                    "strategy": [model.strategy] * STOCKS,
                    "session_on": [day] * STOCKS,
                    "instrument_id": np.arange(STOCKS, dtype=np.int32),
                    "score": score.astype(np.float32),
                    "forward": forward if known else np.full(STOCKS, np.nan),
                    "label": (forward > np.median(forward)).astype(float) if known else np.full(STOCKS, np.nan),
                    "known_on": pl.Series([known_on if known else None] * STOCKS, dtype=pl.Date),
                }
            )
        )
    return pl.concat(frames)


class TestScores:
    def test_steady_screener_is_calm_and_tells_what_to_expect(self, session: Session, universe: Universe) -> None:
        model = _model(session)
        told = read_drift(session, as_of=AS_OF, outcomes=_said(model, quality=0.3, newest_quality=0.3))
        assert told.models[0].state == "calm"
        rows = {row.measure: row for row in newest_readings(session, subject=model.name, as_of=AS_OF)}
        assert {"rank_ic", "brier", "score_ks", "calibration_error", "auc_gap", "expected_auc"} < set(rows)
        # Normal scores that correlate by r with returns split at their median: the halves' means lie 2 r sqrt(2 / pi)
        # apart, each half with variance 1 - 2 r^2 / pi.
        r = 0.3 / np.sqrt(1.0 + 0.3**2)
        area = stats.norm.cdf(2 * r * np.sqrt(2 / np.pi) / np.sqrt(2 * (1 - 2 * r**2 / np.pi)))
        assert rows["expected_auc"].value == pytest.approx(area, abs=0.02)
        assert rows["label_age_days"].value == 0.0

    def test_ranking_turned_round_alarms(self, session: Session, universe: Universe) -> None:
        model = _model(session)
        told = read_drift(session, as_of=AS_OF, outcomes=_said(model, quality=0.5, newest_quality=-0.8))
        assert told.models[0].state == "alarm"
        assert "rank correlation with what came" in told.models[0].sentence

    def test_labels_that_should_be_there_alarm(self, session: Session, universe: Universe) -> None:
        model = _model(session)
        said = _said(model, quality=0.3, newest_quality=0.3, judged_to_on=AS_OF - timedelta(days=80))
        told = read_drift(session, as_of=AS_OF, outcomes=said)
        assert "have no label yet" in told.models[0].sentence

    def test_later_labels_are_not_seen(self, session: Session, universe: Universe) -> None:
        """Scores and labels after the session change nothing."""
        model = _model(session)
        said = _said(model, quality=0.3, newest_quality=0.3)
        before = read_drift(session, as_of=date(2017, 3, 31), outcomes=said)
        session.execute(delete(DriftReading))
        later = pl.col("known_on") > date(2017, 3, 31)
        poisoned = said.with_columns(
            pl.when(later).then(-9.0).otherwise("forward").alias("forward"),
            pl.when(later).then(0.0).otherwise("label").alias("label"),
        )
        assert read_drift(session, as_of=date(2017, 3, 31), outcomes=poisoned) == before


class TestAllocator:
    def test_market_columns_beyond_the_scale_are_counted(self, session: Session, universe: Universe) -> None:
        scales = {"context_mean": [0.0, 0.0], "context_spread": [1.0, 1.0]}
        manifest = {"stock_columns": ["momentum_21"], "context_columns": ["vix_level", "bull"], "scales": scales}
        model = _model(session, kind="allocator", manifest=manifest)
        universe.columns["vix_level"][universe.since(AS_OF)] = 7.0
        read_drift(session, as_of=AS_OF, outcomes=NOTHING_SAID)
        rows = {row.measure: row for row in newest_readings(session, subject=model.name, as_of=AS_OF)}
        assert rows["context_outside"].value == 1.0
        assert rows["inputs"].value is not None
