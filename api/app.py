"""The service: one application, made by `create_app`; `acis api serve` serves it."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from api import errors
from api.limits import Limits
from api.middleware import Frame
from api.openapi import TAGS, describe
from api.rate import Rates
from api.routes import ROUTERS
from api.streams import Hub
from api.word import PREFIX
from core.config import Settings, get_settings
from core.log import adopt_library_logs, configure_logs
from core.version import release
from database.session import dispose, require_limited_role

# Found by those who run the service, not by its users: outside the versioned part.
UNVERSIONED = frozenset({"health"})


def create_app() -> FastAPI:
    """The application. It refuses to start on a database role that no policy binds."""
    app = FastAPI(
        title="ACIS",
        summary="Machine-learned portfolios that financial advisors can explain and trust.",
        version=release(),
        openapi_url=f"{PREFIX}/openapi.json",
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life,
        generate_unique_id_function=_operation_id,
        telemetry=_telemetry(get_settings()),
    )
    app.state.rates = Rates()
    app.add_middleware(Limits)
    app.add_middleware(Frame, trusted_proxies=get_settings().trusted_proxies)
    errors.install(app)
    for word, router in ROUTERS.items():
        app.include_router(router, prefix="" if word in UNVERSIONED else PREFIX)
    describe(app)
    return app


def _telemetry(settings: Settings) -> TelemetryConfig:
    """Spans of requests where the operator collects them; otherwise nothing of it is loaded."""
    wanted: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    if settings.trace_endpoint is not None:
        provider = import_module("api.traces").make_provider(settings.trace_endpoint)
        wanted |= {"tracing": True, "tracer_provider": provider, "operation_spans": False}
    return wanted


def serve() -> FastAPI:
    """The application in a process of its own: what its server logs comes out in our form too."""
    configure_logs(get_settings())
    adopt_library_logs()
    application = create_app()
    # What was loaded to serve stays to the end: no collection need look through it again.
    gc.collect()
    gc.freeze()
    return application


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    settings = get_settings()
    configure_logs(settings)
    # A thread without a connection to work with would only wait for one.
    current_default_thread_limiter().total_tokens = settings.api_connections
    await run_in_threadpool(require_limited_role)
    app.state.rates.open()
    app.state.hub = Hub()
    yield {}
    await app.state.hub.close()
    await app.state.rates.close()
    await run_in_threadpool(dispose)


def _operation_id(route: APIRoute) -> str:
    return route.name
