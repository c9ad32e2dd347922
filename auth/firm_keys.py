"""The firm's own secrets: those that a setting names, newest first, or one made once in var/keys."""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from core.errors import InputError

_CHARACTERS_MIN = 32


def read_firm_keys(given: str | None, *, setting: str, made_in: Path) -> dict[str, bytes]:
    """Key id -> secret, the one in use for new work first. InputError for a secret that is too short."""
    words = [_made_once(made_in)] if given is None else [word.strip() for word in given.split(",") if word.strip()]
    short = [len(word) for word in words if len(word) < _CHARACTERS_MIN]
    if short or not words:
        raise InputError(
            f"{setting} holds {f'a secret of {short[0]} characters' if short else 'nothing'}: give random secrets of at"
            f" least {_CHARACTERS_MIN} characters, the newest first, commas between"
        )
    return {sha256(word.encode()).hexdigest()[:12]: word.encode() for word in words}


def _made_once(path: Path) -> str:
    """The file's secret; of several processes that find none, one makes it whole and the others read that."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            return path.read_text().strip()
        finally:
            draft.unlink()
    return path.read_text().strip()
