"""The shape of the house: floors, plug-in lists, dead files and functions, one writer per table, import contracts."""

import ast
import importlib
import importlib.util
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from api.routes import ROUTERS
from benchmarks import BENCHMARKS
from cli.commands import COMMANDS
from core.config import REPOSITORY
from mlops.jobs import JOBS
from tests.architecture.house import (
    contracts,
    imported_names,
    origin,
    parsed,
    plugin_folders,
    pyproject,
    rooms,
    sources,
)

# Modules that nothing imports, with what starts them instead.
ENTRY_POINTS = {
    "api.app": "named to uvicorn on the command line",
    "api.protocol": "named to uvicorn on the command line",
    "api.traces": "imported when the settings say where traces go",
    "api.parquet_writer": "started as a process of its own, so that its library stays out of the API",
    "cli.main": "console script in pyproject.toml",
    "market_data.sample.make_sample": "run by hand to make the shipped sample anew",
    "rl_trading.learner": "started as a process of its own, so that torch stays in it",
    "mlops.celery_app": "named to celery on the command line",
    "mlops.dispatcher": "started as a process of its own by acis up",
    **{f"cli.commands.{word}": "imported by its word when it is typed" for word in COMMANDS},
    **{f"mlops.jobs.{job}": "imported by its name when it is due" for job in JOBS},
}

# Each plug-in folder and its contract beside it. The jobs' contract is a function name: see mlops/jobs/__init__.py.
PLUGIN_CONTRACTS = {
    "features.library": "features/feature.py",
    "market_data.vendors": "market_data/vendor.py",
    "ml_models.algorithms": "ml_models/algorithm.py",
    "ml_models.recipes": "ml_models/recipe.py",
    "quant.optimisers": "quant/optimiser.py",
    "quant.regimes": "quant/regime.py",
    "strategies.library": "strategies/strategy.py",
    "trading.brokers": "trading/broker.py",
    "trading.risk_rules": "trading/risk_rule.py",
}

# What only tests call, with the reason: windows through which they look at what the product wrote.
TEST_WINDOWS = {
    "auth.audit.read_trail": "every test of a change ends with a look at the trail",
    "database.queries.ledger.trial_balance": "every trading test ends with a look at the books",
    "database.schema.differences": "holds the mapped tables and the migrations side by side",
    "quant.splits.combinatorial": "for research by hand; the platform itself walks forward, as it will have to serve",
}

# Words that more than one room writes, with the reason.
SHARED_TABLES = {
    "accounts": (
        {"clients", "trading"},
        "clients opens and changes them; trading halts one, and clones them for a replay",
    ),
    "idempotency": ({"api", "mlops"}, "the API keeps answers; the dispatcher forgets old ones"),
    "models": ({"ml_models", "rl_trading"}, "each room writes the versions of its own kind"),
    "runs": ({"ml_models", "mlops"}, "mlops runs the jobs; a search keeps its outcomes in the run of its job"),
}


def floors() -> list[list[str]]:
    """The layers contract of the whole house, top floor first."""
    (house,) = [contract for contract in contracts("layers") if "containers" not in contract]
    return [[room.strip() for room in floor.split("|")] for floor in house["layers"]]


def module_name(path: Path, root: Path = REPOSITORY) -> str:
    """`trading/order.py` -> `trading.order`; a package is named by its folder."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def children(package: str, root: Path = REPOSITORY) -> set[str]:
    """Names of the modules and sub-packages of a folder; a leading underscore hides a template."""
    folder = root / package.replace(".", "/")
    files = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return {name for name in files if not name.startswith("_")}


def listed(package: str, root: Path = REPOSITORY) -> set[str]:
    """The children that a plug-in folder's `__init__.py` imports."""
    tree = ast.parse((root / package.replace(".", "/") / "__init__.py").read_text())
    found = set()
    for dotted in imported_names(tree).values():
        if dotted.startswith(f"{package}."):
            found.add(dotted.removeprefix(f"{package}.").split(".")[0])
    return found


class TestFloors:
    def test_every_room_stands_on_one_floor(self) -> None:
        standing = [room for floor in floors() for room in floor]
        assert sorted(standing) == sorted(rooms())

    def test_every_package_is_a_room(self) -> None:
        packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} - {"tests", "benchmarks"}
        assert packages == set(rooms())

    def test_wheel_and_type_checker_see_the_same_rooms(self) -> None:
        tools = pyproject()["tool"]
        assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(rooms())
        assert set(tools["mypy"]["packages"]) == {*rooms(), "tests", "benchmarks"}

    @pytest.mark.parametrize("room", rooms())
    def test_room_resolves_inside_this_repository(self, room: str) -> None:
        spec = importlib.util.find_spec(room)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(REPOSITORY), f"another installed package shadows {room}: {spec.origin}"


class TestPlugins:
    @pytest.mark.parametrize("package", sorted(PLUGIN_CONTRACTS))
    def test_list_equals_files(self, package: str) -> None:
        assert listed(package) == children(package)

    @pytest.mark.parametrize("package", sorted(PLUGIN_CONTRACTS))
    def test_contract_stands_beside_its_folder(self, package: str) -> None:
        assert (REPOSITORY / PLUGIN_CONTRACTS[package]).exists()

    def test_every_folder_has_a_contract(self) -> None:
        assert {*PLUGIN_CONTRACTS, "api.routes", "mlops.jobs"} == set(plugin_folders())

    def test_forgotten_file_is_found(self, tmp_path: Path) -> None:
        folder = tmp_path / "brokers"
        folder.mkdir()
        (folder / "__init__.py").write_text("from brokers.paper import PAPER\n\nBROKERS = {'paper': PAPER}\n")
        (folder / "paper.py").write_text("PAPER = 1\n")
        assert listed("brokers", tmp_path) == children("brokers", tmp_path)
        (folder / "forgotten.py").write_text("")
        assert children("brokers", tmp_path) - listed("brokers", tmp_path) == {"forgotten"}

    def test_every_command_has_its_file(self) -> None:
        assert children("cli.commands") == set(COMMANDS)

    def test_every_router_has_its_file(self) -> None:
        assert children("api.routes") == set(ROUTERS)

    def test_every_job_has_its_file(self) -> None:
        assert children("mlops.jobs") == set(JOBS)

    def test_every_benchmark_is_listed(self) -> None:
        assert children("benchmarks") - {"claim", "firm"} == set(BENCHMARKS)


def product(root: Path = REPOSITORY) -> list[Path]:
    """Every file of the product: what runs, without tests and benchmarks."""
    return list(sources(*rooms(), "migrations", root=root))


def imported_modules(files: Iterable[Path]) -> set[str]:
    """Dotted names that the files import, modules and names alike."""
    found: set[str] = set()
    for path in files:
        for dotted in imported_names(parsed(path)).values():
            found |= {dotted, dotted.rpartition(".")[0]}
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    return found


def dead_modules(root: Path = REPOSITORY) -> set[str]:
    """Modules of the rooms that nothing of the product imports or starts."""
    files = product(root)
    imported = imported_modules(files)
    own = {module_name(path, root) for path in files if path.name != "__init__.py" and "versions" not in path.parts}
    return {
        name for name in own if name not in imported and name not in ENTRY_POINTS and not name.startswith("migrations")
    }


def definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions and classes at the top of a file that nothing registers by decorating them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
            if not any(isinstance(d, ast.Attribute) for d in decorators):
                yield node


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that a piece of code mentions, imports aside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def unused_definitions(root: Path = REPOSITORY) -> list[str]:
    """Functions and classes that the product never mentions outside their own body: dead, or alive in tests only."""
    trees = {path: parsed(path) for path in product(root)}
    mentions = Counter(name for tree in trees.values() for name in identifiers(tree))
    unused = []
    for path, tree in trees.items():
        if "versions" in path.parts or path.parts[-2] == "tables":
            continue
        for node in definitions(tree):
            own = Counter(identifiers(node))[node.name]
            command = module_name(path, root) in ENTRY_POINTS
            if mentions[node.name] == own and not command:
                unused.append(f"{module_name(path, root)}.{node.name}")
    return unused


class TestDeadCode:
    def test_no_dead_modules(self) -> None:
        assert not dead_modules(), "nothing imports these files: take them away, or name what starts them"

    def test_no_function_that_only_a_test_calls(self) -> None:
        assert sorted(unused_definitions()) == sorted(TEST_WINDOWS)

    def test_planted_dead_code_is_found(self, tmp_path: Path) -> None:
        for room in rooms():
            (tmp_path / room).mkdir()
        (tmp_path / "core/alive.py").write_text("def used(): ...\n\n\ndef unused(): return unused\n")
        (tmp_path / "trading/dead.py").write_text("from core.alive import used\n\nused()\n")
        assert dead_modules(tmp_path) == {"trading.dead"}
        assert unused_definitions(tmp_path) == ["core.alive.unused"]

    def test_entry_points_exist(self) -> None:
        for module in ENTRY_POINTS:
            assert importlib.util.find_spec(module), f"{module} is gone: take it out of ENTRY_POINTS"


_WRITING_CALLS = {"insert", "update", "delete", "add", "add_all", "merge", "copy_rows", "bulk_insert_mappings"}


def _writes(function: ast.FunctionDef) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            on_a_set = isinstance(owner, ast.Name) and name in {"add", "update"} and owner.id != "session"
            if name in _WRITING_CALLS and not on_a_set:
                return True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.strip().lower()
            if text.startswith(("insert into", "update ", "delete from", "truncate", "merge into", "copy ")):
                return True
    return False


def writing_functions(path: Path) -> set[str]:
    """Functions of one queries file that change rows, themselves or through another function of that file."""
    functions = {node.name: node for node in parsed(path).body if isinstance(node, ast.FunctionDef)}
    found = {name for name, node in functions.items() if _writes(node)}
    while True:
        more = {name for name, node in functions.items() if name not in found and found & set(identifiers(node))}
        if not more:
            return found
        found |= more


def writers(root: Path = REPOSITORY) -> dict[str, set[str]]:
    """Word -> the rooms above database that call a writing function of `database/queries/<word>.py`."""
    words = {path.stem: writing_functions(path) for path in sorted((root / "database/queries").glob("[a-z]*.py"))}
    found: dict[str, set[str]] = {word: set() for word in words}
    for path in product(root):
        room = path.relative_to(root).parts[0]
        if room in {"database", "migrations"}:
            continue
        names = imported_names(parsed(path))
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Attribute | ast.Name):
                dotted = (origin(node, names) or "").split(".")
                if dotted[:2] == ["database", "queries"] and len(dotted) == 4 and dotted[3] in words.get(dotted[2], ()):
                    found[dotted[2]].add(room)
    return found


class TestOneWriterPerTable:
    def test_each_word_is_written_by_one_room(self) -> None:
        shared = {word: rooms for word, rooms in writers().items() if len(rooms) > 1}
        assert shared == {word: rooms for word, (rooms, _) in SHARED_TABLES.items()}, "the others read its rows"

    def test_words_without_a_table_only_read(self) -> None:
        across = children("database.queries") - children("database.tables")
        writing = {word: writing_functions(REPOSITORY / f"database/queries/{word}.py") for word in across}
        assert not any(writing.values()), "a query that writes stands in the file of its table"

    def test_second_writer_is_found(self, tmp_path: Path) -> None:
        for room in rooms():
            (tmp_path / room).mkdir()
        (tmp_path / "database/queries").mkdir()
        (tmp_path / "database/queries/orders.py").write_text(
            "def _save(session, row):\n    session.add(row)\n\n\n"
            "def place(session, row):\n    _save(session, row)\n\n\n"
            "def read(session):\n    seen = set()\n    seen.add(1)\n    return seen\n"
        )
        (tmp_path / "trading/a.py").write_text("from database.queries import orders\n\norders.place(1, 2)\n")
        (tmp_path / "quant/b.py").write_text("from database.queries.orders import read\n\nread(1)\n")
        assert writers(tmp_path) == {"orders": {"trading"}}
        (tmp_path / "quant/c.py").write_text("from database.queries.orders import place as p\n\np(1, 2)\n")
        assert writers(tmp_path) == {"orders": {"trading", "quant"}}


# One wrong import each, and the contract that must name it.
WRONG_IMPORTS = {
    "core/planted.py": ("import database.session", "Imports go down only"),
    "strategies/planted.py": ("import trading.order", "Imports go down only"),
    "mlops/planted.py": ("import cli.main", "Imports go down only"),
    "quant/planted.py": ("import sqlalchemy", "SQL lives in database"),
    "features/planted.py": ("import psycopg", "psycopg and ADBC live in database"),
    "trading/order.py": ("import celery", "celery lives in mlops"),
    "clients/planted.py": ("import mlflow", "mlflow lives in mlops"),
    "market_data/planted.py": ("import xgboost", "xgboost, LightGBM and Optuna live in ml_models"),
    "ml_models/planted.py": ("import torch", "torch lives in rl_trading"),
    "auth/planted.py": ("import typer", "typer lives in cli"),
    "api/planted.py": ("import ml_models.service", "The API carries no model library"),
    "portfolios/planted.py": ("import fastapi", "FastAPI lives in api"),
    "clients/mandate.py": ("import jwt", "Passwords, tokens and second factors live in auth"),
    "trading/generate.py": ("import trading.brokers.paper", "Only execute and reconcile"),
    "features/library/planted.py": ("import features.library.momentum", "features.library: no plug-in"),
    "quant/optimisers/planted.py": ("import quant.optimisers.equal_weight", "quant.optimisers: no plug-in"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree; its own folder comes first on the path."""
    code = (
        "import sys; sys.path.insert(0, '.'); "
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)


class TestImportContracts:
    def test_house_keeps_them(self) -> None:
        result = lint_imports(REPOSITORY)
        assert result.returncode == 0, result.stdout + result.stderr

    def test_each_planted_import_is_named(self, tmp_path: Path) -> None:
        shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
        for room in rooms():
            shutil.copytree(REPOSITORY / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "sample"))
        for place, (line, _) in WRONG_IMPORTS.items():
            with (tmp_path / place).open("a") as file:
                file.write(f"\n{line}\n")
        result = lint_imports(tmp_path)
        broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
        assert result.returncode == 1, result.stdout + result.stderr
        for place, (line, contract) in WRONG_IMPORTS.items():
            assert any(contract in name for name in broken), f"{line!r} in {place} was not caught:\n{result.stdout}"
