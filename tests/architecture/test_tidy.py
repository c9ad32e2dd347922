"""House rules that no other tool checks: a table of (banned, use instead, why), each shown to bite.

Text lies (a docstring may name what it forbids), so every rule reads syntax trees.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.config import REPOSITORY
from tests.architecture.house import imported_names, origin, parsed, rooms, sources

Finder = Callable[[ast.Module, Path], Iterator[int]]


def references_to(*banned: str) -> Finder:
    """Uses of names by their dotted origin, called or only handed on."""

    def find(tree: ast.Module, path: Path) -> Iterator[int]:
        names = imported_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute | ast.Name) and origin(node, names) in banned:
                yield node.lineno

    return find


def calls_to(*banned: str) -> Finder:
    """Calls of functions by their dotted origin; a type annotation of the same name passes."""

    def find(tree: ast.Module, path: Path) -> Iterator[int]:
        names = imported_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and origin(node.func, names) in banned:
                yield node.lineno

    return find


def method_calls(name: str) -> Finder:
    """Calls of a method, whatever the object."""

    def find(tree: ast.Module, path: Path) -> Iterator[int]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                yield node.lineno

    return find


def silent_excepts(tree: ast.Module, path: Path) -> Iterator[int]:
    """Bare handlers, and handlers that neither act nor tell."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            idle = all(
                isinstance(step, ast.Pass | ast.Continue)
                or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
                for step in node.body
            )
            if node.type is None or idle:
                yield node.lineno


def hidden_imports(tree: ast.Module, path: Path) -> Iterator[int]:
    """Imports inside functions."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node.lineno


_VAGUE_FILE = re.compile(r"(^|_)(util|utils|helper|helpers|common|manager|misc)(_|$)")
_VAGUE_CLASS = re.compile(r"(Util|Utils|Helper|Helpers|Manager)$")


def vague_names(tree: ast.Module, path: Path) -> Iterator[int]:
    """Files, folders and classes whose name says nothing."""
    if any(_VAGUE_FILE.search(part.removesuffix(".py")) for part in path.parts):
        yield 1
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _VAGUE_CLASS.search(node.name):
            yield node.lineno


@dataclass(frozen=True)
class Rule:
    """One house rule; `offends` must be found, `passes` must not."""

    banned: str
    use_instead: str
    why: str
    find: Finder
    offends: str
    passes: str
    within: tuple[str, ...]
    except_in: tuple[str, ...] = ()
    planted_as: str = "trading/planted.py"


HOUSE = (*rooms(), "benchmarks")
EVERYWHERE = (*HOUSE, "tests", "migrations")

RULES = (
    Rule(
        banned="datetime.now, date.today, time.time",
        use_instead="core.clock.now() or today_in_new_york(); time.monotonic() for durations",
        why="a replay and a test hold the clock; a second clock would tell them the wrong day",
        find=references_to(
            "datetime.datetime.now",
            "datetime.datetime.utcnow",
            "datetime.datetime.today",
            "datetime.date.today",
            "time.time",
        ),
        offends="import datetime as dt\nmoment = dt.datetime.now()",
        passes="from core.clock import now\nmoment = now()  # not datetime.now()",
        within=HOUSE,
        except_in=("core/clock.py",),
    ),
    Rule(
        banned="os.environ, os.getenv",
        use_instead="a field of core.config.Settings, or core.config.child_environment() for a child process",
        why="settings are checked once, at start, and one file tells what the environment may say",
        find=references_to("os.environ", "os.getenv", "os.putenv"),
        offends="from os import environ as e\nurl = e['DATABASE_URL']",
        passes="from core.config import get_settings\nurl = get_settings().database_url",
        within=HOUSE,
        except_in=("core/config.py",),
    ),
    Rule(
        banned=".commit(",
        use_instead="transaction() at the door",
        why="a service that commits takes away the caller's choice to do all or nothing",
        find=method_calls("commit"),
        offends="def save(session):\n    session.commit()",
        passes='def save(session):\n    """Never calls session.commit()."""\n    session.flush()',
        within=HOUSE,
        except_in=("database/session.py",),
    ),
    Rule(
        banned="print(",
        use_instead="core.log.get_logger, or a returned value that the door prints",
        why="only a door talks to a person; a job's stdout is nobody's",
        find=references_to("print"),
        offends="def tell():\n    print('done')",
        passes="from core.log import get_logger\nget_logger('trading').info('print(done)')",
        within=rooms(),
        except_in=("cli/",),
    ),
    Rule(
        banned="float( in trading/",
        use_instead="core.money",
        why="money in binary fractions loses cents, and the ledger then refuses the entry",
        find=calls_to("float"),
        offends="cash = float('1.10')",
        passes="from core.money import money\ncash: float | None = None\nsure = money('1.10')",
        within=("trading",),
    ),
    Rule(
        banned="bare or silent except",
        use_instead="name the error and act on it, or contextlib.suppress(Name) with the reason",
        why="an error that nobody hears is the start of most outages",
        find=silent_excepts,
        offends="try:\n    work()\nexcept ValueError:\n    pass",
        passes="try:\n    work()\nexcept ValueError as error:\n    raise RuntimeError('no work') from error",
        within=(*HOUSE, "migrations"),
    ),
    Rule(
        banned="imports inside functions",
        use_instead="imports at the top of the file",
        why="a hidden import hides a circle, and the import contracts then guard half the house",
        find=hidden_imports,
        offends="def late():\n    from json import dumps\n    return dumps",
        passes="from json import dumps\n\n\ndef soon():\n    return dumps",
        within=EVERYWHERE,
    ),
    Rule(
        banned="utils, helpers, common, manager, misc in names of files, folders and classes",
        use_instead="the noun of what is inside",
        why="a drawer without a label collects everything",
        find=vague_names,
        offends="class OrderManager: ...",
        passes="class Order: ...\ncommon_sessions = 3",
        within=EVERYWHERE,
    ),
)


def offences(rule: Rule, root: Path = REPOSITORY) -> list[str]:
    """`file:line` of each offence below `root`."""
    found = []
    for path in sources(*rule.within, root=root):
        place = path.relative_to(root)
        if not any(str(place).startswith(exception) for exception in rule.except_in):
            found += [f"{place}:{line}" for line in sorted(set(rule.find(parsed(path), place)))]
    return found


def by_name(rule: Rule) -> str:
    return rule.banned


@pytest.mark.parametrize("rule", RULES, ids=by_name)
def test_house_keeps_the_rule(rule: Rule) -> None:
    found = offences(rule)
    assert not found, f"{rule.banned} in {', '.join(found)}; use {rule.use_instead}, because {rule.why}"


@pytest.mark.parametrize("rule", RULES, ids=by_name)
def test_rule_finds_a_planted_offence(rule: Rule, tmp_path: Path) -> None:
    planted = tmp_path / rule.planted_as
    planted.parent.mkdir()
    planted.write_text(rule.offends)
    assert offences(rule, root=tmp_path), "the rule is blind"


@pytest.mark.parametrize("rule", RULES, ids=by_name)
def test_rule_lets_the_replacement_pass(rule: Rule, tmp_path: Path) -> None:
    planted = tmp_path / rule.planted_as
    planted.parent.mkdir()
    planted.write_text(rule.passes)
    assert not offences(rule, root=tmp_path)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.except_in], ids=by_name)
def test_exceptions_are_still_needed(rule: Rule) -> None:
    for place in rule.except_in:
        assert (REPOSITORY / place).exists(), f"{place} is gone: take it out of the rule's exceptions"


@pytest.mark.parametrize("name", ["trading/utils.py", "trading/order_helpers.py", "common/order.py"])
def test_vague_file_names_are_found(name: str) -> None:
    assert list(vague_names(ast.parse(""), Path(name))) == [1]


def test_files_of_the_house_are_read() -> None:
    assert len(list(sources(*HOUSE))) > 40, "the rules look in the wrong place"
