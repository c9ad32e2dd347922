"""Which code is running: the last link of every lineage."""

import subprocess
from functools import cache
from importlib.metadata import version

from core.config import REPOSITORY, get_settings

UNKNOWN = "unknown"


@cache
def release() -> str:
    """The release that is installed."""
    return version("acis")


@cache
def code_commit() -> str:
    """Commit of the running code: ACIS_CODE_COMMIT (images set it), else the checkout's HEAD, else "unknown".

    A checkout with uncommitted changes carries the suffix "+changes": its results cannot be reproduced from the
    commit alone.
    """
    named = get_settings().code_commit
    if named:
        return named
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 fixed arguments
        ["git", "-C", str(REPOSITORY), *arguments],  # noqa: S607 git is looked up on the operator's own PATH
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()
