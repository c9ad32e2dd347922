"""Anchors of the audit's chain: what its end was at a time, signed and kept outside the database.

A chain proves that its rows belong together. That none is missing at its end, and that it was not written anew as a
whole, only somebody can prove who knew an earlier end.
"""

import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from auth.firm_keys import read_firm_keys
from core.clock import now
from core.config import get_settings
from core.errors import InputError
from core.log import get_logger

EVERY = timedelta(minutes=1)
_TAIL_BYTES = 4096
_log = get_logger("auth")


@dataclass(frozen=True)
class Anchor:
    """The end of the chain at a time; `line` is where it stands, `is_ours` whether a key of the firm signed it."""

    line: int
    seal_id: int
    hash: str
    at: datetime
    is_ours: bool


def keep_anchor(*, seal_id: int, hash_hex: str) -> None:
    """Write the chain's end down, unless that was done within the last minute or the end is still the same."""
    path = get_settings().audit_anchor_file
    last = _last_line(path)
    if last is not None and (last.seal_id == seal_id or timedelta(0) <= now() - last.at < EVERY):
        return
    at = now().isoformat()
    key_id, key = next(iter(_keys().items()))
    line = {"seal_id": seal_id, "hash": hash_hex, "at": at, "key": key_id, "mac": _mac(key, seal_id, hash_hex, at)}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write at the end of the file: lines of two processes never mix.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        os.write(handle, (json.dumps(line) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    _log.info("audit anchored", seal_id=seal_id, hash=hash_hex)


def read_anchors(path: Path) -> list[Anchor]:
    """The anchors of a file, in order. InputError where the file is not there."""
    if not path.is_file():
        raise InputError(f"--anchor is {str(path)!r}: there is no such file; name a copy of anchors.jsonl")
    with path.open(encoding="utf-8", errors="replace") as file:
        return list(_read(file))


def _read(lines: Iterator[str]) -> Iterator[Anchor]:
    for number, line in enumerate(lines, start=1):
        try:
            said = json.loads(line)
            seal_id, hash_hex, at, mac = said["seal_id"], said["hash"], said["at"], said["mac"]
            key = _keys().get(said["key"])
            is_ours = key is not None and hmac.compare_digest(_mac(key, seal_id, hash_hex, at), mac)
            yield Anchor(
                line=number, seal_id=int(seal_id), hash=hash_hex, at=datetime.fromisoformat(at), is_ours=is_ours
            )
        except (ValueError, TypeError, KeyError):
            yield Anchor(line=number, seal_id=0, hash="", at=now(), is_ours=False)


def _last_line(path: Path) -> Anchor | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    found = list(_read(iter(lines[-1:])))
    return found[0] if found else None


def _mac(key: bytes, seal_id: int, hash_hex: str, at: str) -> str:
    return hmac.new(key, f"audit anchor {seal_id} {hash_hex} {at}".encode(), sha256).hexdigest()


def _keys() -> dict[str, bytes]:
    settings = get_settings()
    return read_firm_keys(settings.audit_keys, setting="ACIS_AUDIT_KEYS", made_in=settings.audit_key_file)
