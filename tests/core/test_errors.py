"""The tree drawn at the top of core/errors.py is the tree of the classes."""

import re
from datetime import date

import pytest

import core.errors
from core.errors import AcisError, NotASession, UnknownName

_BRANCH = re.compile(r"^(?P<trunk>[│├└─\s]*)(?P<name>[A-Z]\w+)\s+(?P<status>\d{3})\s+(?P<text>\S.*)$")


def drawn() -> dict[str, tuple[str, int]]:
    """Class name -> (parent's name, HTTP status), read from the drawing."""
    tree: dict[str, tuple[str, int]] = {}
    path: list[str] = []
    for line in (core.errors.__doc__ or "").splitlines():
        found = _BRANCH.match(line)
        if found:
            depth = len(found["trunk"]) // 4
            path = [*path[:depth], found["name"]]
            tree[found["name"]] = (path[depth - 1] if depth else "Exception", int(found["status"]))
    return tree


def defined() -> dict[str, tuple[str, int]]:
    """The same, read from the classes."""
    classes, waiting = {}, [AcisError]
    while waiting:
        kind = waiting.pop()
        classes[kind.__name__] = (kind.__bases__[0].__name__, kind.http_status)
        waiting += [below for below in kind.__subclasses__() if below.__module__ == "core.errors"]
    return classes


def test_drawing_equals_classes() -> None:
    assert drawn() == defined()


def test_no_error_is_defined_elsewhere() -> None:
    def below(kind: type[AcisError]) -> set[type[AcisError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert {kind.__module__ for kind in below(AcisError)} == {"core.errors"}


class TestMessages:
    def test_unknown_name_lists_the_known_ones_sorted(self) -> None:
        error = UnknownName("strategy", "grwth", ["value", "growth"])
        assert str(error) == "unknown strategy 'grwth'; known: growth, value"

    def test_unknown_name_without_known_ones(self) -> None:
        assert str(UnknownName("broker", "x", [])) == "unknown broker 'x'; known: none yet"

    def test_not_a_session_names_its_neighbours(self) -> None:
        error = NotASession(date(2017, 7, 4), date(2017, 7, 3), date(2017, 7, 5))
        assert "2017-07-03" in str(error)
        assert "2017-07-05" in str(error)

    @pytest.mark.parametrize(
        ("kind", "code"), [("InputError", 2), ("Refused", 2), ("Unreachable", 3), ("AcisError", 1)]
    )
    def test_exit_codes(self, kind: str, code: int) -> None:
        assert getattr(core.errors, kind).exit_code == code
