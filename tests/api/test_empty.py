"""What is asked about research before anything is loaded: an answer or a sentence that helps, never a fault."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

AsRole = Callable[[str], TestClient]
STRATEGY = "momentum_largecap"
EMPTY = ("/instruments", "/instruments/sectors", "/data/status", "/data/imports", "/data/quarantine", "/backtests")
NOTHING_YET = (
    "/regimes/current",
    "/regimes/history",
    "/strategies",
    f"/strategies/{STRATEGY}",
    "/strategies/choices",
    "/screens",
    f"/screens/{STRATEGY}",
    f"/screens/{STRATEGY}/export",
    f"/screens/{STRATEGY}/stocks/AAPL",
    f"/screens/{STRATEGY}/stocks/AAPL/history",
    "/instruments/AAPL",
    "/instruments/AAPL/bars",
    "/models",
    "/models/drift",
    "/data/coverage",
    "/data/gaps/AAPL",
)


class TestBeforeTheFirstLoad:
    @pytest.mark.parametrize("path", EMPTY)
    def test_lists_are_empty(self, as_role: AsRole, path: str) -> None:
        answer = as_role("admin").get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert not (told["items"] if "items" in told else told["datasets"] if path == "/data/status" else told)

    @pytest.mark.parametrize("path", NOTHING_YET)
    def test_what_needs_a_session_says_how_to_get_one(self, as_role: AsRole, path: str) -> None:
        answer = as_role("admin").get(f"/api/v1{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "data_missing"), answer.text
        assert "acis data load-sample" in answer.json()["detail"]

    @pytest.mark.parametrize("path", NOTHING_YET)
    def test_as_of_a_day_nothing_is_claimed(self, as_role: AsRole, path: str) -> None:
        word = "to_on" if path.endswith(("history", "bars")) else "as_of"
        answer = as_role("admin").get(f"/api/v1{path}", params={word: "2017-06-30"})
        assert answer.status_code in (200, 404), answer.text
