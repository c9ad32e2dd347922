"""Traces in OpenTelemetry's form, sent where OTEL_EXPORTER_OTLP_ENDPOINT says; this file is loaded only then.

FastAPI makes the spans of requests itself once it is given a provider; here is the provider, the spans of statements,
and what is kept out of both: values, which may be names, and secrets.
"""

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from core.log import current_request_id
from core.version import release
from database.session import watch_statements

_HIDDEN = ("url.query",)


class _Discretion(SpanProcessor):
    """Says which request a span belongs to, and not what somebody searched for."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 the library's own
        """Number the span, hide what it must not tell."""
        request_id = current_request_id()
        if request_id is not None:
            span.set_attribute("acis.request_id", request_id)
        for name in _HIDDEN:
            if span.attributes and name in span.attributes:
                span.set_attribute(name, "***")

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to hide."""


def make_provider(endpoint: str, exporter: SpanExporter | None = None) -> TracerProvider:
    """The provider that sends to `endpoint` (or into `exporter`), with a span for each statement to the database."""
    provider = TracerProvider(resource=Resource.create({"service.name": "acis-api", "service.version": release()}))
    provider.add_span_processor(_Discretion())
    chosen = exporter or OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(chosen))
    tracer = provider.get_tracer("acis.database")

    def begin(statement: str) -> Any:
        if not trace.get_current_span().get_span_context().is_valid:
            return None  # nobody's request: the pool at work
        attributes = {"db.system.name": "postgresql", "db.query.text": statement[:2000]}
        return tracer.start_span(statement.split(maxsplit=1)[0].upper(), attributes=attributes)

    watch_statements(begin, lambda span: span.end())
    return provider
