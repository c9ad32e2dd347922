"""`acis doctor`: can this machine run the platform, and if not, what helps."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import typer

from cli.arguments import JsonFlag
from cli.output import print_json, print_table
from core.config import REPOSITORY, Settings, get_settings
from core.errors import AcisError
from database.schema import current_revision, newest_revision, server_version
from database.session import DatabaseError, engine

DISK_FREE_GIB_MIN = 3
PACKAGES = ("polars", "numba", "xgboost", "mlflow", "celery", "onnxruntime", "torch", "stable-baselines3")


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is good, what was seen, and what helps when it is not."""

    check: str
    ok: bool
    seen: str
    remedy: str = ""


def command(as_json: JsonFlag = False) -> None:
    """Check Python, packages, disk, database and schema. Exit code 1 when something must be put right."""
    settings = get_settings()
    findings = [check(settings) for check in CHECKS]
    if as_json:
        print_json({"ok": all(finding.ok for finding in findings), "checks": findings})
    else:
        rows = [
            (finding.check, "good" if finding.ok else "BAD", finding.seen, "" if finding.ok else finding.remedy)
            for finding in findings
        ]
        print_table("acis doctor", ["check", "verdict", "seen", "what helps"], rows)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _python(_: Settings) -> Finding:
    return Finding("python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer")


def _packages(_: Settings) -> Finding:
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    seen = f"missing: {', '.join(missing)}" if missing else ", ".join(found)
    return Finding("packages", not missing, seen, "run `make demo`, which installs from requirements/lock.txt")


def _torch_build(_: Settings) -> Finding:
    try:
        build = version("torch")
    except PackageNotFoundError:
        return Finding("torch build", False, "not installed", "run `make demo`")
    return Finding("torch build", True, f"{build} ({'CPU' if build.endswith('+cpu') else 'default'} build)")


def _disk(settings: Settings) -> Finding:
    parent = next(folder for folder in (settings.var_dir, *settings.var_dir.parents) if folder.exists())
    free = shutil.disk_usage(parent).free / 2**30
    remedy = f"free {DISK_FREE_GIB_MIN} GiB or set ACIS_VAR_DIR to a larger disk"
    return Finding("disk", free >= DISK_FREE_GIB_MIN, f"{free:.1f} GiB free for {settings.var_dir}", remedy)


def _var_writable(settings: Settings) -> Finding:
    parent = next(folder for folder in (settings.var_dir, *settings.var_dir.parents) if folder.exists())
    return Finding("var folder", os.access(parent, os.W_OK), str(settings.var_dir), f"make {parent} writable")


def _database(settings: Settings) -> Finding:
    kind = "DATABASE_URL" if settings.database_url else "embedded PostgreSQL"
    try:
        number = server_version(engine())
    except (AcisError, DatabaseError) as error:
        return Finding("database", False, f"{kind}: {error}", "check DATABASE_URL, or unset it for the embedded server")
    return Finding("database", number >= 15, f"{kind}, PostgreSQL {number}", "PostgreSQL 15 or newer is needed")


def _schema(_: Settings) -> Finding:
    try:
        revision, newest = current_revision(engine()), newest_revision()
    except (AcisError, DatabaseError) as error:
        return Finding("schema", False, str(error), "start the database first")
    return Finding("schema", revision == newest, f"at {revision}, newest is {newest}", "run `acis migrate`")


def _node(_: Settings) -> Finding:
    found = shutil.which("node")
    return Finding("node (optional)", True, found or "not found: needed for the web UI only")


def _checkout(_: Settings) -> Finding:
    return Finding("checkout", (REPOSITORY / "migrations").exists(), str(REPOSITORY), "install with --editable")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    _python,
    _checkout,
    _packages,
    _torch_build,
    _disk,
    _var_writable,
    _database,
    _schema,
    _node,
)
