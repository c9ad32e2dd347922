"""A model on disk: plain data files, a manifest that holds the hash of each, and a signature over the manifest.

    <root>/<name>/<label>-<first digits of the manifest's hash>/{manifest.json, manifest.sig, files ...}

The database holds the hash of the manifest. `load` hands out bytes only after everything here has been checked, so
neither a swapped nor a hostile file reaches a model library, and nothing here can run what it reads.
"""

import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.config import get_settings
from core.errors import ArtefactRefused
from database.tables.models import ModelVersion
from registry import signing

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
FORMAT = 2
SUFFIXES = (".ubj", ".json", ".onnx", ".txt")
MANIFEST_BYTES_MAX = 4 << 20
SIGNATURE_BYTES_MAX = 4 << 10
FILE_BYTES_MAX = 256 << 20
FILES_MAX = 64
DEPTH_MAX = 16
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.[a-z]{1,8}")
_FOLDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}/[a-z0-9][a-z0-9_-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HASH_DIGITS = 16
_REQUIRED = {"format", "name", "label", "files"}


@dataclass(frozen=True)
class Artefact:
    """What was stored, checked: the manifest, and the bytes of each file by name."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


class _Unfit(Exception):
    """Why an artefact is refused, in words that follow "is refused:"."""


def save(
    root: Path, *, name: str, label: str, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    """Write the files, their manifest and its signature; returns (folder below `root`, SHA-256 of the manifest, it).

    `name` is the model's, `<kind>` or `<kind>-<strategy>`; `label` tells its versions apart for people, such as the
    year. `description` is JSON and becomes the rest of the manifest. All appear together or not at all; what is there
    already, whole and signed by a trusted key, is left alone. Raises ArtefactRefused for what `load` would refuse.
    """
    manifest = {
        **json.loads(json.dumps(description, allow_nan=False)),
        "format": FORMAT,
        "name": name,
        "label": label,
        "files": {file: {"sha256": _hash(data), "size_bytes": len(data)} for file, data in sorted(files.items())},
    }
    content = _written(manifest)
    digest = _hash(content)
    target = root / name / f"{label}-{digest[:_HASH_DIGITS]}"
    try:
        _check_manifest(_parse(content), target)
        for file, data in files.items():
            _check_structure(file, data)
    except _Unfit as unfit:
        raise _refusal(target, unfit) from unfit
    if not _is_whole(target, digest):
        _place(target, {**files, MANIFEST_FILE: content, SIGNATURE_FILE: _written(signing.sign(content))})
    return str(target.relative_to(root)), digest, manifest


def place(artefact_dir: str) -> Path:
    """Where the artefact lies that the database names. ArtefactRefused where that leads out of the folder of models."""
    root = get_settings().models_dir
    if _PLACE.fullmatch(artefact_dir) is None:
        raise _refusal(Path(artefact_dir[:80]), _Unfit(f"it does not lie in {root}/<name>/<version>"))
    return root / artefact_dir


def load(target: Path, *, expected_sha256: str, expected: Mapping[str, Any]) -> Artefact:
    """The artefact in the folder `target`, every byte of it checked. ArtefactRefused says what is wrong with it.

    `expected_sha256` is the hash of the manifest that was registered; `expected` holds what the caller insists on, by
    key of the manifest.
    """
    try:
        with _Folder(target) as folder:
            content = folder.read(MANIFEST_FILE, MANIFEST_BYTES_MAX)
            _require(_hash(content) == expected_sha256, "its manifest is not the one that was registered")
            _check_signature(content, folder)
            manifest = _parse(content)
            _check_manifest(manifest, target)
            _check_names(folder.names(), manifest["files"])
            files = {name: _checked_file(folder, name, entry) for name, entry in manifest["files"].items()}
        _check_expected(manifest, expected)
    except _Unfit as unfit:
        raise _refusal(target, unfit) from unfit
    return Artefact(manifest, files)


def stands(model: ModelVersion) -> bool:
    """Whether the version's artefact is there and would be let through; where not, training makes another."""
    try:
        load(place(model.artefact_dir), expected_sha256=model.artefact_sha256, expected={})
    except ArtefactRefused:
        return False
    return True


def refuse(target: Path, complaint: str) -> ArtefactRefused:
    """The refusal that a room raises whose library, or whose own checks, will not have the artefact's bytes."""
    return _refusal(target, _Unfit(complaint))


def _refusal(target: Path, unfit: _Unfit) -> ArtefactRefused:
    kind = target.parent.name.partition("-")[0]
    remedy = f"acis train {kind}" if kind in {"screener", "allocator"} else "acis train"
    return ArtefactRefused(f"model {target} is refused: {unfit}; restore its folder or train it again ({remedy})")


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise _Unfit(complaint)


class _Folder:
    """A folder held open: plain files are read through it, and what is renamed or linked meanwhile is not followed."""

    def __init__(self, target: Path) -> None:
        _require(".." not in target.parts, "its path leads out of its folder")
        _require(not target.parent.is_symlink(), "it lies behind a symbolic link")
        try:
            self._descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _Unfit(f"it is not a folder that can be read ({error.strerror})") from error

    def __enter__(self) -> "_Folder":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def names(self) -> set[str]:
        """Of everything in it, hidden or not."""
        with os.scandir(self._descriptor) as entries:
            return {entry.name for entry in entries}

    def read(self, name: str, bytes_max: int) -> bytes:
        """One plain file; a link, a pipe, a device or anything larger than `bytes_max` is refused unread."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor
            )
        except OSError as error:
            raise _Unfit(f"its file {name} cannot be read ({error.strerror})") from error
        try:
            found = os.fstat(descriptor)
            _require(stat.S_ISREG(found.st_mode), f"{name} is not a plain file")
            _require(found.st_size <= bytes_max, f"{name} has {found.st_size} bytes, more than the {bytes_max} allowed")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                content = file.read(bytes_max + 1)
        finally:
            os.close(descriptor)
        _require(len(content) <= bytes_max, f"{name} grows while it is read")
        return content


def _check_signature(content: bytes, folder: _Folder) -> None:
    _require(SIGNATURE_FILE in folder.names(), "it is not signed")
    signature = folder.read(SIGNATURE_FILE, SIGNATURE_BYTES_MAX)
    record = _parse(signature)
    _require(signature == _written(record), "its signature is not written as signatures are")
    complaint = signing.verify(content, record)
    if complaint is not None:
        raise _Unfit(complaint)


def _checked_file(folder: _Folder, name: str, entry: Mapping[str, Any]) -> bytes:
    data = folder.read(name, entry["size_bytes"])
    _require(
        len(data) == entry["size_bytes"] and _hash(data) == entry["sha256"], f"{name} is not the file of its manifest"
    )
    _check_structure(name, data)
    return data


def _check_manifest(manifest: Mapping[str, Any], target: Path) -> None:
    """The keys that every manifest has, and that it belongs into the folder that it lies in."""
    _require(manifest.get("format") == FORMAT, f"its format is {manifest.get('format')!r}, this code reads {FORMAT}")
    missing = sorted(_REQUIRED - set(manifest))
    _require(not missing, f"its manifest lacks {', '.join(missing)}")
    for key in ("name", "label"):
        value = manifest[key]
        fits = isinstance(value, str) and _FOLDER_NAME.fullmatch(value) is not None
        _require(fits, f"its {key} {value!r} is not a plain name")
    files = manifest["files"]
    _require(isinstance(files, dict) and 0 < len(files) <= FILES_MAX, f"it must list 1 to {FILES_MAX} files")
    for file, entry in files.items():
        fits = _FILE_NAME.fullmatch(file) is not None and Path(file).suffix in SUFFIXES
        _require(fits and file != MANIFEST_FILE, f"file name {file!r} is not a plain name ending in {SUFFIXES}")
        _check_entry(file, entry)
    place = (target.parent.name, target.name.rpartition("-")[0])
    _require(place == (manifest["name"], manifest["label"]), "it lies in the folder of another model")


def _check_entry(file: str, entry: object) -> None:
    fits = (
        isinstance(entry, dict)
        and set(entry) == {"sha256", "size_bytes"}
        and isinstance(entry["sha256"], str)
        and _DIGEST.fullmatch(entry["sha256"]) is not None
        and isinstance(entry["size_bytes"], int)
        and not isinstance(entry["size_bytes"], bool)
    )
    _require(fits, f"its manifest must give sha256 and size_bytes of {file}")
    assert isinstance(entry, dict)
    _require(0 < entry["size_bytes"] <= FILE_BYTES_MAX, f"{file} must have 1 to {FILE_BYTES_MAX} bytes")


def _check_names(found: set[str], listed: Iterable[str]) -> None:
    expected = {MANIFEST_FILE, SIGNATURE_FILE, *listed}
    strange, missing = sorted(found - expected), sorted(expected - found)
    _require(not strange, f"it holds {strange[:1]!r}, which its manifest does not list")
    _require(not missing, f"it lacks {missing[:1]!r}")


def _check_expected(manifest: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, value in json.loads(json.dumps(expected)).items():
        found = manifest.get(key)
        # Lists of columns are too long for a sentence.
        detail = "" if isinstance(value, list | dict) else f" ({found!r}, not {value!r})"
        _require(found == value, f"its manifest's {key} differ from what is at hand{detail}")


def _check_structure(name: str, data: bytes) -> None:
    """What the suffix promises, as far as it shows without a model library: no pickle, archive or page passes."""
    match Path(name).suffix:
        case ".json":
            _parse(data)
        case ".ubj":
            fits = data[:1] == b"{" and data[1:2] in b"iUIlL" and data[-1:] == b"}"
            _require(fits, f"{name} is not an object of UBJSON")
        case ".txt":
            fits = b"\x00" not in data and data.isascii() and data[:5] == b"tree\n"
            _require(fits, f"{name} is not a text of trees")
        case _:
            # ModelProto, field 1 (ir_version), and its value below 128.
            _require(data[:1] == b"\x08" and data[1:2] < b"\x80", f"{name} is not a graph of ONNX")


def _written(value: Mapping[str, Any]) -> bytes:
    """JSON in the one form that is stored, hashed and signed."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


def _parse(content: bytes) -> dict[str, Any]:
    """Strict JSON: an object in UTF-8, each key once, finite numbers, nested DEPTH_MAX deep at most."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"its JSON cannot be read ({error})") from error
    _require(isinstance(value, dict), "its JSON is not an object")
    _require(_depth_within(value, DEPTH_MAX), f"its JSON is nested more than {DEPTH_MAX} deep")
    assert isinstance(value, dict)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands there twice")
    return result


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is larger than any number")
    return number


def _depth_within(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    below = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_depth_within(item, levels - 1) for item in below)


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _is_whole(target: Path, digest: str) -> bool:
    if not target.exists():
        return False
    try:
        load(target, expected_sha256=digest, expected={})
    except ArtefactRefused:
        return False
    return True


def _place(target: Path, files: Mapping[str, bytes]) -> None:
    """The folder with these files, made beside and renamed, all of it on the disk before it can be seen."""
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        for name, content in files.items():
            with (building / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        building.chmod(0o755)
        _sync(building)
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
        building.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
