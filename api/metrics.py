"""What Prometheus may ask: requests by route, refusals, the pool; and of the database, at most every few seconds, the
state of the work.

With several processes on one port each writes into the shared folder that PROMETHEUS_MULTIPROC_DIR names, and any of
them answers for all.
"""

import threading
import time
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core.clock import now
from core.config import shared_metrics_dir
from core.errors import AcisError
from core.log import get_logger
from database.queries.vitals import Vitals, read_vitals
from database.session import DatabaseError, connections_in_use, limited_transaction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
VITALS_LAST_S = 5.0

_log = get_logger("api")

requests = Counter("acis_http_requests", "Requests answered.", ["method", "route", "status"])
latency = Histogram(
    "acis_http_request_seconds",
    "Seconds from the request's arrival to the last byte of its answer; event streams are not counted.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
in_flight = Gauge("acis_http_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
rate_refusals = Counter("acis_rate_limit_refusals", "Requests refused for coming too often.", ["who"])
rate_fallbacks = Counter("acis_rate_limit_fallbacks", "Requests counted in the process because Redis was away.")
cache_lookups = Counter("acis_cache_lookups", "Looks into the cache.", ["outcome"])
_pool = Gauge("acis_database_connections_in_use", "Database connections in use.", multiprocess_mode="livesum")


def observe(method: str, route: str, status: int, seconds: float | None) -> None:
    """Note one answer; `seconds` is None for a stream."""
    requests.labels(method, route, str(status)).inc()
    if seconds is not None:
        latency.labels(method, route).observe(seconds)
    _pool.set(connections_in_use())


def render() -> bytes:
    """Everything, in Prometheus' text form."""
    if shared_metrics_dir() is None:
        return generate_latest(REGISTRY) + generate_latest(_vitals_registry)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared) + generate_latest(_vitals_registry)


class _VitalsCollector(Collector):
    """What the database tells, remembered for VITALS_LAST_S, so that many who scrape cost no more than one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._vitals: Vitals | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families; none but `acis_database_up 0` while the database is away."""
        vitals = self._fresh()
        yield GaugeMetricFamily("acis_database_up", "Whether the database answers.", value=vitals is not None)
        if vitals is not None:
            yield from _families(vitals)

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is asked of the database to register."""
        return []

    def _fresh(self) -> Vitals | None:
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > VITALS_LAST_S:
                try:
                    with limited_transaction() as session:
                        self._vitals = read_vitals(session, at=now())
                except (AcisError, DatabaseError) as error:
                    _log.warning("no vitals", error=str(error))
                    self._vitals = None
                self._read_at = time.monotonic()
            return self._vitals


def _families(vitals: Vitals) -> Iterator[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("acis_jobs", "Jobs of the last seven days, by state.", labels=["status"])
    for status, count in vitals.jobs.items():
        jobs.add_metric([status], count)
    yield jobs
    models = GaugeMetricFamily(
        "acis_model_age_seconds", "Seconds since the serving model was registered.", labels=["model"]
    )
    for name, age_s in vitals.model_age_s.items():
        models.add_metric([name], age_s)
    yield models
    single = {
        "acis_oldest_queued_job_seconds": ("Age of the oldest job that waits.", vitals.oldest_queued_s),
        "acis_data_age_seconds": ("Seconds since the end of the newest session with bars.", vitals.data_age_s),
        "acis_orders_refused_by_broker": ("Orders that a broker rejected, last seven days.", vitals.orders_rejected),
        "acis_orders_of_unknown_outcome": ("Orders whose outcome nobody knows yet.", vitals.orders_unknown),
        "acis_alerts_open": ("Alerts that nobody has read.", vitals.alerts_open),
    }
    for name, (text, value) in single.items():
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


_vitals_registry = CollectorRegistry()
_vitals_registry.register(_VitalsCollector())
