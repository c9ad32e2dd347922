"""What Prometheus may ask: counts by route, never by number; the work's state; nothing about anybody."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from api import metrics
from core.config import REPOSITORY, child_environment
from database.queries.vitals import Vitals, read_vitals
from database.session import Session, limited_transaction, transaction
from tests.api.conftest import Firm

NOW = datetime(2020, 4, 2, 12, 0, tzinfo=UTC)


def sample(name: str, **labels: str) -> float:
    """One value of the text form; 0 where it is not there yet."""
    for family in text_string_to_metric_families(metrics.render().decode()):
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return float(one.value)
    return 0.0


class TestObserve:
    def test_counts_by_route_not_by_path(self, service: TestClient, firm: Firm) -> None:
        signed_in = {"Authorization": f"Bearer {firm.token('admin')}"}
        labels = {"method": "GET", "route": "/api/v1/clients/{client_id}", "status": "404"}
        before = sample("acis_http_requests_total", **labels)
        for number in range(9_000, 9_003):
            service.get(f"/api/v1/clients/{number}", headers=signed_in)
        assert sample("acis_http_requests_total", **labels) == before + 3
        service.get("/nowhere/1"), service.get("/nowhere/2")
        assert sample("acis_http_requests_total", method="GET", route="(none)", status="404") >= 2
        assert not re.search(r"clients/900[012]|nowhere", metrics.render().decode())

    def test_in_flight_returns_to_nothing(self, service: TestClient) -> None:
        service.get("/health/live")
        assert sample("acis_http_requests_in_flight") == 0

    def test_processes_count_together(self, tmp_path: Path) -> None:
        """Two processes count into one folder; a third, which counted nothing, answers for both."""
        environment = child_environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
        count = "from api import metrics; metrics.observe('GET', '/one', 200, 0.01)"
        tell = "from api import metrics; print(metrics.render().decode())"
        for code in (count, count):
            subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, check=True)
        said = subprocess.run(
            [sys.executable, "-c", tell], cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True
        ).stdout
        assert 'acis_http_requests_total{method="GET",route="/one",status="200"} 2.0' in said


class TestVitals:
    def test_of_an_empty_firm(self, firm: Firm) -> None:
        with limited_transaction() as session:
            vitals = read_vitals(session, at=NOW)
        assert (vitals.data_age_s, vitals.oldest_queued_s, vitals.orders_unknown) == (None, 0.0, 0)

    def test_sees_the_whole_firms_queue(self, firm: Firm) -> None:
        with transaction() as session:
            session.execute(
                text(
                    "insert into jobs (name, payload, actor, is_private, created_at) values"
                    " ('nightly', '{}', 'a', true, :then), ('nightly', '{}', 'b', true, :now)"
                ),
                {"then": datetime(2020, 4, 2, 11, 50, tzinfo=UTC), "now": NOW},
            )
        with limited_transaction() as session:
            vitals = read_vitals(session, at=NOW)
        assert vitals.jobs == {"queued": 2}
        assert vitals.oldest_queued_s == 600

    def test_asked_often_the_database_is_asked_once(self, service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def count(session: Session, *, at: datetime) -> Vitals:
            asked.append(at)
            return read_vitals(session, at=at)

        monkeypatch.setattr(metrics, "read_vitals", count)
        collector = metrics._VitalsCollector()
        for _ in range(5):
            assert list(collector.collect())
        assert len(asked) == 1
