"""Strategies over the API."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient

from database.session import transaction
from database.tables.scores import Score
from database.tables.targets import StrategyChoice
from market_data.calendars import sessions_between
from strategies.library import STRATEGIES
from tests.api.counting import counted
from tests.factories.market import Market, create_market
from tests.factories.regimes import create_weighed_screen
from tests.factories.scores import create_batch

AsRole = Callable[[str], TestClient]
URL = "/api/v1/strategies"
LAST = date(2017, 6, 30)
DAYS = sessions_between(date(2017, 6, 26), LAST)


def finding(worth: float, **fields: Any) -> dict[str, Any]:
    """What the evidence of a choice holds for one strategy."""
    return {"available": True, "refusal": None, "affinity": worth, "realised": None, "worth": worth, **fields}


def create_choice(day: date, strategy: str, worths: dict[str, float]) -> StrategyChoice:
    """A night's choice with its evidence."""
    return StrategyChoice(
        session_on=day,
        strategy=strategy,
        regime="bull",
        reason=f"{strategy} is worth most",
        evidence={
            "regime": "bull",
            "probabilities": {"bull": 1.0},
            "incumbent": {"strategy": strategy, "sessions": 3, "regime": "bull"},
            "strategies": {name: finding(worth) for name, worth in worths.items()},
        },
    )


@pytest.fixture(scope="module")
def market(firm: object) -> Market:
    """Five nights of choices; on the last, momentum by a model, value by its rule, growth refused."""
    with transaction() as session:
        made = create_market(session, instruments=5, sessions=40, last_on=LAST)
        create_weighed_screen(
            session, session_on=LAST, strategy="momentum_largecap", instrument_ids=made.instrument_ids[:3]
        )
        by_rule = create_batch(
            session,
            session_on=LAST,
            strategy="value_largecap",
            instrument_ids=made.instrument_ids[:2],
            source="rule",
        )
        for row in session.query(Score).filter(Score.score_batch_id == by_rule.score_batch_id):
            row.reasons = [{"feature": "earnings_yield", "value": 0.1, "contribution": 0.2, "text": "cheap"}]
        create_batch(session, session_on=LAST, strategy="growth_largecap", refused="too few reports")
        for number, day in enumerate(DAYS):
            strategy = "momentum_largecap" if number % 2 == 0 else "value_largecap"
            session.add(create_choice(day, strategy, {"momentum_largecap": 0.9, "value_largecap": 0.4}))
    return made


class TestListStrategies:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_each_says_how_it_stands_tonight(self, as_role: AsRole, market: Market) -> None:
        told = {row["name"]: row for row in as_role("viewer").get(URL).json()}
        assert list(told) == list(STRATEGIES)
        assert told["momentum_largecap"]["tonight"]["source"] == "model"
        assert told["momentum_largecap"]["tonight"]["model"] == "screener-momentum_largecap"
        assert told["momentum_largecap"]["tonight"]["allocator"] == "equal_weight"
        assert told["momentum_largecap"]["is_followed"] is True
        assert told["momentum_largecap"]["weighed"]["worth"] == 0.9
        assert (told["value_largecap"]["rule"], told["value_largecap"]["tonight"]["model"]) == (
            ["earnings_yield"],
            None,
        )
        assert told["growth_largecap"]["tonight"]["status"] == "refused"
        assert told["growth_largecap"]["tonight"]["reason"] == "too few reports"
        assert told["quality_largecap"]["tonight"] is None

    def test_before_the_first_night_nothing_is_claimed(self, as_role: AsRole, market: Market) -> None:
        told = as_role("viewer").get(URL, params={"as_of": "2017-05-31"}).json()
        assert {(row["tonight"], row["weighed"], row["is_followed"]) for row in told} == {(None, None, False)}

    def test_questions_do_not_grow_with_strategies(self, as_role: AsRole, market: Market) -> None:
        with counted() as statements:
            as_role("viewer").get(URL)
        assert len(statements) <= 8


class TestShowStrategy:
    def test_unknown_name_gets_the_list(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("analyst").get(f"{URL}/astrology")
        assert answer.status_code == 404
        assert "momentum_largecap" in answer.json()["detail"]

    def test_is_the_one_of_the_list(self, as_role: AsRole, market: Market) -> None:
        listed = {row["name"]: row for row in as_role("analyst").get(URL).json()}
        assert as_role("analyst").get(f"{URL}/value_largecap").json() == listed["value_largecap"]


class TestListChoices:
    def test_pages_hold_every_night_once_newest_first(self, as_role: AsRole, market: Market) -> None:
        days, cursor = [], None
        while True:
            page = as_role("advisor").get(
                f"{URL}/choices", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
            )
            days += [row["session_on"] for row in page.json()["items"]]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert days == [day.isoformat() for day in reversed(DAYS)]

    def test_of_one_strategy(self, as_role: AsRole, market: Market) -> None:
        page = as_role("advisor").get(f"{URL}/choices", params={"strategy": "value_largecap"}).json()
        assert page["total"] == 2

    def test_foreign_cursor_is_refused(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(f"{URL}/choices", params={"cursor": "bm9uc2Vuc2U"}).status_code == 422


class TestShowChoice:
    def test_evidence_stands_in_order_of_worth(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/choices/{LAST}").json()
        assert [row["strategy"] for row in told["weighed"]] == ["momentum_largecap", "value_largecap"]
        assert told["incumbent"] == {"strategy": "momentum_largecap", "sessions": 3, "regime": "bull"}

    def test_night_without_a_choice_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(f"{URL}/choices/2017-06-01").status_code == 404
