"""Whether the service works: the truth, also when it does not."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from core.config import get_settings
from core.version import release
from database import readiness
from database.readiness import expected_revision
from database.schema import newest_revision
from database.session import transaction
from tests.api.conftest import Firm


class TestReady:
    def test_live_and_ready(self, service: TestClient) -> None:
        assert service.get("/health/live").json() == {"status": "live"}
        answer = service.get("/health/ready")
        assert (answer.status_code, answer.json()["reasons"]) == (200, [])

    def test_redis_is_told_of_and_not_needed(self, service: TestClient) -> None:
        assert service.get("/health/ready").json()["redis"] == "down"

    def test_database_away(self, service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        away = create_engine("postgresql+psycopg://acis_api@/none?host=/nowhere")
        monkeypatch.setattr(readiness, "limited_engine", lambda: away)
        answer = service.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert "does not answer" in answer.json()["reasons"][0]
        assert service.get("/health/live").status_code == 200

    def test_schema_of_another_release(self, service: TestClient) -> None:
        with transaction() as open_session:
            open_session.execute(text("update alembic_version set version_num = '0001'"))
        answer = service.get("/health/ready")
        with transaction() as open_session:
            open_session.execute(text("update alembic_version set version_num = :now"), {"now": expected_revision()})
        assert answer.status_code == 503
        assert "0001" in answer.json()["reasons"][0]
        assert "acis migrate" in answer.json()["reasons"][0]

    def test_revision_is_the_one_that_alembic_knows(self) -> None:
        readiness.expected_revision.cache_clear()
        assert expected_revision() == newest_revision()

    def test_version(self, service: TestClient) -> None:
        assert service.get("/api/v1/version").json()["release"] == release()


class TestMetrics:
    @pytest.fixture
    def token(self, monkeypatch: pytest.MonkeyPatch, firm: Firm) -> Iterator[str]:
        monkeypatch.setenv("ACIS_METRICS_TOKEN", "scrape-with-this")
        get_settings.cache_clear()
        yield "scrape-with-this"
        get_settings.cache_clear()

    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert TestClient(service.app, client=("203.0.113.7", 1)).get("/metrics").status_code == 404

    def test_this_machine_may_but_nobody_behind_a_proxy_on_it(self, service: TestClient) -> None:
        local = TestClient(service.app, client=("127.0.0.1", 1))
        assert local.get("/metrics").status_code == 200
        assert local.get("/metrics", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 404

    def test_with_a_token_only_its_bearer(self, service: TestClient, token: str) -> None:
        local = TestClient(service.app, client=("127.0.0.1", 1))
        assert local.get("/metrics").status_code == 404
        assert local.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200
