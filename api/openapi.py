"""The OpenAPI document: what FastAPI makes of the routes, with permissions, sign-in and the form of errors added."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.credentials import SESSION_COOKIE
from api.deps import PUBLIC, Needs, Public
from api.errors import MEDIA_TYPE
from api.schemas.problem import Problem

_SIGNED_IN = (401, 403, 429)
_ALWAYS = (422, 500, 503)


def declared_permission(route: APIRoute) -> str | None:
    """What a route declares: a permission, `public`, or None where somebody forgot."""
    found = [
        call.permission if isinstance(call, Needs) else PUBLIC
        for call in _calls(route.dependant)
        if isinstance(call, Needs | Public)
    ]
    return found[0] if len(found) == 1 else None


def describe(app: FastAPI) -> None:
    """Let the application tell everything about its routes that FastAPI does not know of."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(made(), app)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """The application's own routes."""
    return (route for route in app.routes if isinstance(route, APIRoute))


def _calls(dependant: Dependant) -> Iterator[Any]:
    for below in dependant.dependencies:
        yield below.call
        yield from _calls(below)


def _complete(schema: dict[str, Any], app: FastAPI) -> None:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(_problem_schemas())
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or a machine's key."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "For browsers."},
    }
    for route in routes_of(app):
        if not route.include_in_schema:
            continue
        permission = declared_permission(route)
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            operation["x-permission"] = permission
            operation["security"] = [] if permission == PUBLIC else [{"bearer": []}, {"cookie": []}]
            statuses = _ALWAYS if permission == PUBLIC else _SIGNED_IN + _ALWAYS
            for status in (*statuses, *((404,) if "{" in route.path else ()), *((409,) if method != "GET" else ())):
                operation["responses"].setdefault(str(status), {"description": "See the problem's detail."})
            for status, answer in operation["responses"].items():
                if status[0] in "45":
                    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}
