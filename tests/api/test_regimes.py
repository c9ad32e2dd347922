"""Regimes over the API."""

from collections.abc import Callable
from datetime import date

import pytest
from fastapi.testclient import TestClient

from api.schemas.regimes import SpanOut
from database.session import transaction
from database.tables.targets import StrategyChoice
from market_data.calendars import sessions_between
from tests.factories.market import Market, create_market
from tests.factories.regimes import create_regime

AsRole = Callable[[str], TestClient]
URL = "/api/v1/regimes"
LAST = date(2017, 6, 30)
DAYS = sessions_between(date(2017, 6, 19), LAST)  # ten sessions
LABELS = ["bull"] * 4 + ["bear"] * 3 + ["bull"] * 3


@pytest.fixture(scope="module")
def market(firm: object) -> Market:
    """Ten sessions of regimes by two detectors, and a choice on the last."""
    with transaction() as session:
        made = create_market(session, instruments=3, sessions=40, last_on=LAST)
        for day, label in zip(DAYS, LABELS, strict=True):
            create_regime(session, session_on=day, label=label)
        create_regime(session, session_on=LAST, label="sideways", detector="hidden_markov")
        session.add(
            StrategyChoice(
                session_on=LAST,
                strategy="growth_largecap",
                regime="bull",
                reason="it suits",
                evidence={"strategies": {}},
            )
        )
    return made


class TestShowRegime:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        answer = service.get(f"{URL}/2017-06-30")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"

    def test_unknown_session_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("analyst").get(f"{URL}/2017-07-04").status_code == 404

    @pytest.mark.parametrize("day", ["yesterday", "0001-01-01", "9999-12-31"])
    def test_bad_date_names_field_and_remedy(self, as_role: AsRole, day: str) -> None:
        answer = as_role("analyst").get(f"{URL}/{day}")
        assert answer.status_code == 422
        assert "session_on" in answer.json()["detail"]

    def test_every_detector_is_told(self, as_role: AsRole, market: Market) -> None:
        told = as_role("viewer").get(f"{URL}/{LAST}").json()
        assert [(row["detector"], row["label"]) for row in told] == [("hidden_markov", "sideways"), ("rules", "bull")]


class TestShowCurrentRegime:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/current").status_code == 401

    def test_says_since_when_and_what_followed(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/current").json()
        assert (told["session_on"], told["detector"], told["label"]) == (LAST.isoformat(), "rules", "bull")
        assert (told["since_on"], told["sessions"]) == (DAYS[7].isoformat(), 3)
        assert told["others"] == {"hidden_markov": "sideways"}
        assert told["followed"] == {"session_on": LAST.isoformat(), "strategy": "growth_largecap", "reason": "it suits"}

    def test_of_an_earlier_day_knows_nothing_later(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/current", params={"as_of": DAYS[5].isoformat()}).json()
        assert (told["label"], told["since_on"], told["sessions"]) == ("bear", DAYS[4].isoformat(), 2)
        assert told["followed"] is None

    def test_unknown_detector_has_no_reading(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("advisor").get(f"{URL}/current", params={"detector": "tea_leaves"})
        assert answer.status_code == 404
        assert "tea_leaves" in answer.json()["detail"]


class TestShowRegimeHistory:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/history").status_code == 401

    def test_columns_are_parallel_and_spans_shade_them(self, as_role: AsRole, market: Market) -> None:
        told = as_role("analyst").get(f"{URL}/history").json()
        assert told["sessions"] == [day.isoformat() for day in DAYS]
        assert told["labels"] == LABELS
        assert [(span["label"], span["sessions"]) for span in told["spans"]] == [("bull", 4), ("bear", 3), ("bull", 3)]
        assert told["spans"][1]["from_on"] == DAYS[4].isoformat()
        assert told["probabilities"]["bear"] == [1.0 if label == "bear" else 0.0 for label in LABELS]
        assert all(value > 0 for value in told["index"])
        assert told["strategies"] == [None] * 9 + ["growth_largecap"]

    def test_upside_down_stretch_is_refused_with_both_days(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("analyst").get(f"{URL}/history", params={"from_on": "2017-06-30", "to_on": "2017-06-19"})
        assert answer.status_code == 422
        assert "from_on is 2017-06-30 and to_on is 2017-06-19" in answer.json()["detail"]

    def test_too_long_a_stretch_says_how_long_it_may_be(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("analyst").get(f"{URL}/history", params={"from_on": "1970-01-02"})
        assert answer.status_code == 422
        assert "25 years" in answer.json()["detail"]

    def test_without_history_is_empty(self, as_role: AsRole, market: Market) -> None:
        params = {"from_on": "2010-01-04", "to_on": "2010-12-31"}
        told = as_role("analyst").get(f"{URL}/history", params=params).json()
        assert (told["sessions"], told["spans"]) == ([], [])


class TestStretch:
    def test_no_days_have_no_spans(self) -> None:
        assert SpanOut.stretch([], []) == []
