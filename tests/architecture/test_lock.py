"""The lock holds what pyproject.toml asks for: a dependency added without `make lock` is found here, offline."""

import re
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.config import REPOSITORY
from tests.architecture.house import pyproject

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
# Installed on its own, so that no CUDA build comes along by accident.
APART = {"torch"}


@cache
def locked() -> dict[str, str]:
    """Package -> version in the lock."""
    text = (REPOSITORY / "requirements" / "lock.txt").read_text()
    return {canonicalize_name(found["name"]): found["version"] for found in _PINNED.finditer(text)}


def asked() -> list[str]:
    """What the project, its extras and its development need."""
    project, groups = pyproject()["project"], pyproject()["dependency-groups"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return sorted({*project["dependencies"], *extras, *groups["dev"]})


@pytest.mark.parametrize("line", asked())
def test_lock_satisfies(line: str) -> None:
    requirement = Requirement(line)
    name = canonicalize_name(requirement.name)
    if name in APART:
        text = (REPOSITORY / "requirements" / "torch.txt").read_text()
        version = next(found["version"] for found in _PINNED.finditer(text) if found["name"] == name).split("+")[0]
    else:
        assert name in locked(), f"{name} is not in requirements/lock.txt: run `make lock`"
        version = locked()[name]
    assert requirement.specifier.contains(version), f"{name} is locked at {version}: run `make lock`"


def test_every_pin_carries_a_hash() -> None:
    text = (REPOSITORY / "requirements" / "lock.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    bare = [entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert not bare
