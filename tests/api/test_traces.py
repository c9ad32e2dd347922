"""Traces: spans of requests and statements, the caller's trace carried on, nothing that should stay here."""

import subprocess
import sys

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import traces
from api.app import create_app
from core.config import REPOSITORY, child_environment, get_settings
from tests.api.conftest import Firm

TRACE = "0af7651916cd43dd8448eb211c80319c"


class TestMakeProvider:
    def test_request_and_statements_hang_together(self, firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = InMemorySpanExporter()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example")
        monkeypatch.setattr(traces, "OTLPSpanExporter", lambda endpoint: kept)
        get_settings.cache_clear()
        with TestClient(create_app()) as client:
            client.get(
                "/api/v1/clients?search=Canary",
                headers={
                    "Authorization": f"Bearer {firm.token('advisor')}",
                    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
                    "x-request-id": "request-number-1",
                },
            )
            client.app._telemetry["tracer_provider"].force_flush()  # type: ignore[attr-defined]
        get_settings.cache_clear()
        spans = kept.get_finished_spans()
        (served,) = [span for span in spans if span.kind.name == "SERVER"]
        statements = [span for span in spans if span.name == "SELECT"]
        assert {format(span.context.trace_id, "032x") for span in (served, *statements)} == {TRACE}
        assert served.name == "GET /api/v1/clients"
        assert {span.attributes["acis.request_id"] for span in (served, *statements) if span.attributes} == {
            "request-number-1"
        }
        assert len(statements) >= 2
        assert not any("Canary" in str(span.attributes) for span in spans)

    def test_nothing_is_loaded_when_nobody_collects(self) -> None:
        code = (
            "import sys; import api.app; api.app.create_app();"
            "print([name for name in sys.modules if name.startswith(('api.traces', 'opentelemetry.exporter'))])"
        )
        said = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env=child_environment(), capture_output=True, text=True
        )
        assert said.stdout.strip() == "[]", said.stderr
