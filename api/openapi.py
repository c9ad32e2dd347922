"""The OpenAPI document: what FastAPI makes of the routes, with permissions, sign-in, limits and the form of errors."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from api.cookies import session_cookie
from api.deps import PUBLIC, Needs, Public
from api.errors import MEDIA_TYPE
from api.schemas.problem import Problem

TAGS = [
    {"name": word, "description": description}
    for word, description in {
        "auth": "Sign in and out, second factors, keys for machines.",
        "users": "The people who work here, and what they may do.",
        "clients": "Whom the firm looks after, and who looks after them.",
        "households": "Clients who are looked after together.",
        "accounts": "Where a client's money lies, and what is held there.",
        "mandates": "What an account may hold and how far it may stray.",
        "imports": "Holdings from a file: looked at first, then taken over.",
        "portfolio": "What an account holds, earns, risks and how healthy it is.",
        "reports": "Papers for a client.",
        "recommendations": "What the models propose, why, and what a person decides.",
        "orders": "What was sent to a broker, and what became of it.",
        "fills": "What was bought and sent at which price.",
        "trades": "The history of what was bought and sold.",
        "paper": "Accounts with invented money.",
        "autonomous": "What runs without a person's word, and how it is stopped.",
        "kill switches": "What stops trading: of a client, of a strategy, of everything.",
        "regimes": "The state of the market as each detector saw it.",
        "strategies": "How stocks are chosen, and what that earned.",
        "screens": "The best stocks of a session, with their reasons.",
        "models": "What the models are worth and which of them serve.",
        "backtests": "What would have been.",
        "data": "Which market data are here, and how good they are.",
        "instruments": "Stocks and funds.",
        "jobs": "Work that takes longer than an answer may.",
        "events": "What happens, as it happens.",
        "admin": "How the firm's machinery stands.",
        "health": "Whether this service works.",
    }.items()
]

_DESCRIPTIONS = {
    401: "Nobody is signed in, or the sign-in has ended.",
    403: "Somebody who may not do this.",
    404: "Nothing with that number, or nothing that the caller may see: the two answer alike.",
    409: "A rule of the platform says no, or somebody else was faster.",
    413: "The body is larger than is read here.",
    422: "The request does not fit: the problem names the field and the remedy.",
    429: "Too many requests within a minute; `Retry-After` tells when to come again.",
    500: "Something of ours is broken; it is in the log under the request's number.",
    503: "A server that is needed does not answer; `Retry-After` tells when to come again.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_WITH_RETRY = frozenset({429, 503})
_WITHOUT_BODY = frozenset({"get", "delete", "head"})


def declared_permission(route: RouteContext) -> str | None:
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


def routes_of(app: FastAPI) -> Iterator[RouteContext]:
    """The application's own routes, with the whole path of each."""
    return (route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute))


def _calls(dependant: Dependant) -> Iterator[Any]:
    for below in dependant.dependencies:
        yield below.call
        yield from _calls(below)


def _complete(schema: dict[str, Any], app: FastAPI) -> None:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(_problem_schemas())
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or a machine's key."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": session_cookie(), "description": "For browsers."},
        "basic": {"type": "http", "scheme": "basic", "description": "Address and password, where tokens are made."},
    }
    for route in routes_of(app):
        if route.include_in_schema:
            for method in route.methods or ():
                operation = schema["paths"][route.path_format][method.lower()]
                _complete_operation(operation, method.lower(), declared_permission(route))
    used = {tag for path in schema["paths"].values() for operation in path.values() for tag in operation["tags"]}
    schema["tags"] = [tag for tag in TAGS if tag["name"] in used]


def _complete_operation(operation: dict[str, Any], method: str, permission: str | None) -> None:
    operation["x-permission"] = permission
    operation.setdefault("security", [] if permission == PUBLIC else [{"bearer": []}, {"cookie": []}])
    statuses = [422, 429, 500, 503]
    if permission != PUBLIC:
        statuses += [401, 403, 404, 409]
    if method not in _WITHOUT_BODY:
        statuses += [401, 409, 413]
    for status in statuses:
        operation["responses"].setdefault(str(status), {})
    for status, answer in operation["responses"].items():
        if status[0] in "45":
            number = int(status) if status.isdigit() else 0
            answer["description"] = answer.get("description") or _DESCRIPTIONS.get(number, "See the problem's detail.")
            # What a route says of its own failure stands; what the framework says of every 422 does not.
            if "content" not in answer or number == HTTPStatus.UNPROCESSABLE_ENTITY:
                answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            if number in _WITH_RETRY:
                answer["headers"] = _RETRY_AFTER
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}
