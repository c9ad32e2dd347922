"""The document that clients are generated from: every operation whole, and the same on every machine."""

import json
import subprocess
import sys
from typing import Any

import pytest

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


@pytest.mark.parametrize("name", OPERATIONS)
class TestOperation:
    def test_is_named_and_described(self, name: str) -> None:
        operation = OPERATIONS[name]
        assert operation["operationId"].isidentifier()
        assert operation["summary"]
        assert operation.get("description"), "the route's function has no docstring"
        assert len(operation["tags"]) == 1

    def test_declares_who_may(self, name: str) -> None:
        operation = OPERATIONS[name]
        assert operation["x-permission"] in {PUBLIC, *PERMISSIONS}
        assert (operation["security"] == []) is (operation["x-permission"] == PUBLIC) or "basic" in str(operation)

    def test_tells_how_it_fails(self, name: str) -> None:
        responses = OPERATIONS[name]["responses"]
        assert {"422", "429", "500", "503"} <= set(responses)
        for status, answer in responses.items():
            assert answer["description"], status
            if status[0] in "45" and status != "503":
                assert answer["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")

    def test_every_parameter_has_a_type_and_an_end(self, name: str) -> None:
        for parameter in OPERATIONS[name].get("parameters", ()):
            assert parameter["schema"], parameter["name"]

    def test_path_is_plain(self, name: str) -> None:
        path = name.split()[1]
        assert not path.endswith("/")
        assert path == path.lower()


class TestDocument:
    def test_every_route_declares_one_permission(self) -> None:
        undeclared = [route.path for route in routes_of(APPLICATION) if declared_permission(route) is None]
        assert not undeclared, "give each exactly one of needs(...) and public()"

    def test_operation_ids_are_unique(self) -> None:
        names = [operation["operationId"] for operation in OPERATIONS.values()]
        assert len(names) == len(set(names))

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
