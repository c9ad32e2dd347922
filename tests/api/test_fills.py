"""Executions over the API."""

from collections.abc import Callable

from fastapi.testclient import TestClient

AsRole = Callable[[str], TestClient]
URL = "/api/v1/fills"


class TestListFills:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_analyst_has_no_right(self, as_role: AsRole) -> None:
        assert as_role("analyst").get(URL).status_code == 403

    def test_is_empty_before_any_trade(self, as_role: AsRole) -> None:
        assert as_role("admin").get(URL).json() == {"items": [], "next": None, "total": 0}

    def test_bad_filters_name_the_field(self, as_role: AsRole) -> None:
        answer = as_role("admin").get(URL, params={"order_id": 10**20})
        assert answer.status_code == 422
        assert "order_id" in answer.json()["detail"]
