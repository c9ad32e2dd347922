"""The document that clients are generated from: every operation whole, and the same on every machine."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from api.app import create_app
from api.deps import PUBLIC
from api.openapi import declared_permission, routes_of
from auth.roles import PERMISSIONS
from core.config import REPOSITORY, child_environment

APPLICATION = create_app()
DOCUMENT: dict[str, Any] = APPLICATION.openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def those(offends: Callable[[dict[str, Any]], object]) -> list[str]:
    """Names of the operations that offend."""
    return [name for name, operation in OPERATIONS.items() if offends(operation)]


class TestOperations:
    def test_all_are_named(self) -> None:
        assert those(lambda operation: not operation["operationId"].isidentifier()) == []
        assert those(lambda operation: not operation["summary"]) == []
        assert those(lambda operation: len(operation["tags"]) != 1) == []

    def test_all_are_described(self) -> None:
        assert those(lambda operation: not operation.get("description")) == [], "the docstring of the function is it"

    def test_all_declare_who_may(self) -> None:
        assert those(lambda operation: operation["x-permission"] not in {PUBLIC, *PERMISSIONS}) == []
        assert those(lambda operation: operation["x-permission"] != PUBLIC and not operation["security"]) == []

    def test_all_tell_how_they_fail(self) -> None:
        assert those(lambda operation: not {"422", "429", "500", "503"} <= set(operation["responses"])) == []
        assert those(lambda operation: not all(one["description"] for one in operation["responses"].values())) == []

    def test_every_failure_has_the_one_shape(self) -> None:
        shape = {"$ref": "#/components/schemas/Problem"}
        readiness = "#/components/schemas/Readiness"

        def differs(operation: dict[str, Any]) -> bool:
            failures = {status: one for status, one in operation["responses"].items() if status[0] in "45"}
            return any(
                one["content"].get("application/problem+json", {}).get("schema") != shape
                for one in failures.values()
                if readiness not in str(one)
            )

        assert those(differs) == []

    def test_every_parameter_has_a_type(self) -> None:
        assert those(lambda operation: any(not one["schema"] for one in operation.get("parameters", ()))) == []

    def test_paths_are_plain(self) -> None:
        paths = list(DOCUMENT["paths"])
        assert [path for path in paths if path.endswith("/") or path != path.lower()] == []


class TestDocument:
    def test_every_route_declares_one_permission(self) -> None:
        undeclared = [route.path for route in routes_of(APPLICATION) if declared_permission(route) is None]
        assert not undeclared, "give each exactly one of needs(...) and public()"

    def test_operation_ids_are_unique(self) -> None:
        names = [operation["operationId"] for operation in OPERATIONS.values()]
        assert len(names) == len(set(names))

    def test_no_two_schemas_share_a_name(self) -> None:
        assert [name for name in DOCUMENT["components"]["schemas"] if "__" in name] == []

    def test_every_tag_is_described(self) -> None:
        used = {tag for operation in OPERATIONS.values() for tag in operation["tags"]}
        assert used == {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    def test_same_on_every_run(self) -> None:
        said = subprocess.run(
            [sys.executable, "-c", "from cli.main import run; run()", "api", "schema"],
            cwd=REPOSITORY,
            env=child_environment(PYTHONHASHSEED="7"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said.strip() == json.dumps(DOCUMENT, indent=2, sort_keys=True, ensure_ascii=False)

    def test_work_that_must_happen_once_asks_for_a_key(self) -> None:
        keyed = [name for name, operation in OPERATIONS.items() if "dempotency-" in str(operation.get("parameters"))]
        assert keyed
        assert all(name.startswith(("POST", "PATCH", "PUT", "DELETE")) for name in keyed)
