"""What the architecture tests read: the rooms and plug-in folders that pyproject.toml names, and parsed sources."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from core.config import REPOSITORY


@cache
def pyproject() -> dict[str, Any]:
    """pyproject.toml as it is."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def rooms() -> tuple[str, ...]:
    """The rooms, in the order in which import-linter lists them."""
    return tuple(pyproject()["tool"]["importlinter"]["root_packages"])


def contracts(kind: str) -> list[dict[str, Any]]:
    """The import contracts of one type."""
    return [contract for contract in pyproject()["tool"]["importlinter"]["contracts"] if contract["type"] == kind]


def plugin_folders() -> list[str]:
    """Dotted names of the folders whose files may not import each other: one implementation per file."""
    return [
        module.removesuffix(".*")
        for contract in contracts("independence")
        for module in contract["modules"]
        if module.endswith(".*")
    ]


def sources(*tops: str, root: Path = REPOSITORY) -> Iterator[Path]:
    """Python files below the named top-level folders, sorted."""
    for top in tops:
        yield from sorted((root / top).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(), filename=str(path))


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted origin, of every import in a file: `from datetime import datetime as dt` gives dt."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def origin(node: ast.expr, names: dict[str, str]) -> str | None:
    """Dotted origin of an expression such as `dt.now` after aliases are resolved; None where it is not a plain name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        left = origin(node.value, names)
        return None if left is None else f"{left}.{node.attr}"
    return None
