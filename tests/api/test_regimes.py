"""Regimes over the API."""

from collections.abc import Callable

from fastapi.testclient import TestClient

AsRole = Callable[[str], TestClient]


class TestShowRegime:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        answer = service.get("/api/v1/regimes/2017-06-30")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"

    def test_unknown_session_is_not_found(self, as_role: AsRole) -> None:
        answer = as_role("analyst").get("/api/v1/regimes/2017-07-04")
        assert answer.status_code == 404, answer.text

    def test_bad_date_names_field_and_remedy(self, as_role: AsRole) -> None:
        answer = as_role("analyst").get("/api/v1/regimes/yesterday")
        assert answer.status_code == 422
        assert "session_on" in answer.json()["detail"]
