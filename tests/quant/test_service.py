"""Regimes are read from what is in the database, stored once, and the same whenever they are asked for."""

from datetime import date

import pytest

from core.config import get_settings
from core.errors import DataMissing
from database.queries.regimes import find_regime, read_regimes, regimes_on
from database.session import transaction
from database.tables.regimes import LABELS
from quant.service import detect_regime, detect_regimes
from tests.factories.market import Market, create_market


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """Four years of a synthetic market, committed."""
    with transaction() as session:
        return create_market(session, instruments=24, sessions=1000, last_on=date(2017, 6, 30))


class TestDetectRegime:
    def test_is_stored_with_probabilities_and_drivers(self, market: Market) -> None:
        with transaction() as session:
            reading = detect_regime(session, as_of=market.last_on)
            row = find_regime(session, session_on=market.last_on, detector="rules")
        assert row is not None
        assert reading.detector == "rules"
        assert reading.label == row.label
        assert set(reading.probabilities) == set(LABELS)
        assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert reading.drivers["vix"]["sentence"].startswith("The VIX stands at ")
        assert reading.drivers["breadth"]["value"] is not None
        assert reading.other_labels["hidden_markov"] in LABELS
        assert row.data_vintage["digest"]

    def test_what_was_said_stands(self, market: Market) -> None:
        day = market.sessions[-30]
        with transaction() as session:
            first = detect_regime(session, as_of=day)
            stored = regimes_on(session, session_on=day)["rules"].created_at
        with transaction() as session:
            assert detect_regime(session, as_of=day) == first
            assert regimes_on(session, session_on=day)["rules"].created_at == stored

    def test_one_night_and_the_whole_history_say_the_same(self, market: Market) -> None:
        day = market.sessions[-40]
        with transaction() as session:
            night = detect_regime(session, as_of=day)
            session.rollback()
            detect_regimes(session, first_on=market.sessions[0], last_on=market.last_on)
            history = find_regime(session, session_on=day, detector="rules")
            assert history is not None
            said = (history.label, history.probabilities, history.drivers)
            assert said == (night.label, night.probabilities, night.drivers)
            session.rollback()

    def test_detector_that_is_acted_on_is_a_setting(self, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACIS_REGIME_DETECTOR", "hidden_markov")
        get_settings.cache_clear()
        with transaction() as session:
            reading = detect_regime(session, as_of=market.last_on)
        monkeypatch.undo()
        get_settings.cache_clear()
        assert reading.detector == "hidden_markov"
        assert set(reading.drivers) == {"vix", "trend", "quarter_return"}
        assert set(reading.other_labels) == {"rules"}

    def test_too_little_history_names_what_is_missing(self, market: Market) -> None:
        with transaction() as session, pytest.raises(DataMissing, match="trend"):
            detect_regime(session, as_of=market.sessions[50])

    def test_day_without_bars_is_refused(self, market: Market) -> None:
        with transaction() as session, pytest.raises(DataMissing, match="no bars"):
            detect_regime(session, as_of=date(2017, 7, 4))


class TestDetectRegimes:
    def test_second_call_changes_no_row(self, market: Market) -> None:
        with transaction() as session:
            detect_regimes(session, first_on=market.sessions[0], last_on=market.sessions[-100])
        with transaction() as session:
            assert detect_regimes(session, first_on=market.sessions[0], last_on=market.sessions[-100]) == 0

    def test_every_session_that_can_be_read_is_there(self, market: Market) -> None:
        with transaction() as session:
            detect_regimes(session, first_on=market.sessions[0], last_on=market.sessions[-100])
        rules = read_regimes(as_of=market.sessions[-100], detector="rules")
        # The trend needs 200 sessions of the index.
        assert rules["session_on"].to_list() == market.sessions[199:-99]
        assert rules.columns == ["session_on", "label", "raw_label", *LABELS]
        assert rules.select(LABELS).sum_horizontal().is_between(0.9999, 1.0001).all()
