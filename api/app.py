"""The service: one application, made by `create_app`; `uvicorn api.app:create_app --factory` serves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from api import errors
from api.openapi import describe
from api.routes import ROUTERS
from core.config import get_settings
from core.log import configure_logs
from database.session import dispose, require_limited_role

PREFIX = "/api/v1"


def create_app() -> FastAPI:
    """The application. It refuses to start on a database role that no policy binds."""
    app = FastAPI(
        title="ACIS",
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life,
        generate_unique_id_function=_operation_id,
    )
    errors.install(app)
    for router in ROUTERS.values():
        app.include_router(router, prefix=PREFIX)
    describe(app)
    return app


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    configure_logs(get_settings())
    await run_in_threadpool(require_limited_role)
    yield {}
    await run_in_threadpool(dispose)


def _operation_id(route: APIRoute) -> str:
    return route.name
