"""A model on disk: the trees as UBJSON and a manifest that says what they are. Loading never runs foreign code.

The folder is named by the hash of the manifest, the manifest holds the hash of the trees, and the database holds the
hash of the manifest: whoever swaps or edits a file is refused at the next load.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import xgboost

from core.errors import IntegrityBroken

MODEL_FILE = "model.ubj"
MANIFEST_FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a screener is: enough to judge it, to grow it again and to refuse it where it does not fit."""

    name: str
    strategy: str
    features: tuple[str, ...]
    train_from_on: str
    train_to_on: str
    validation_from_on: str
    validation_to_on: str
    last_label_on: str
    valid_from_on: str
    valid_to_on: str
    label_sessions: int
    parameters: dict[str, Any]
    emphasis: dict[str, float]
    rounds: int
    best_round: int
    validation_auc: float
    train_rows: int
    validation_rows: int
    input_hash: str
    feature_hash: str
    data_vintage: dict[str, Any]
    code_commit: str
    library: str
    model_sha256: str
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def to_json(self) -> bytes:
        """The bytes that are stored and hashed."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True).encode()


def save(folder: Path, booster: xgboost.Booster, manifest: Manifest) -> tuple[str, str]:
    """Write both files under `folder`; returns (name of the folder made inside it, SHA-256 of the manifest).

    They appear together or not at all. An artefact that is there already and whole is left alone.
    """
    content = manifest.to_json()
    digest = sha256(content).hexdigest()
    target = folder / manifest.name / f"{manifest.valid_from_on[:4]}-{digest[:16]}"
    relative = str(target.relative_to(folder))
    if _whole(target, digest):
        return relative, digest
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        for name, data in ((MODEL_FILE, trees(booster)), (MANIFEST_FILE, content)):
            with (building / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return relative, digest


def trees(booster: xgboost.Booster) -> bytes:
    """The booster in UBJSON."""
    return bytes(booster.save_raw(raw_format="ubj"))


def load(target: Path, *, expected_sha256: str, features: Sequence[str] | None = None) -> xgboost.Booster:
    """The booster of one artefact, for one thread. IntegrityBroken where anything differs from what was stored.

    `expected_sha256` is the database's hash of the manifest; `features` the columns that the caller will hand in.
    """
    content = _read(target / MANIFEST_FILE)
    _require(sha256(content).hexdigest() == expected_sha256, target, "its manifest is not the one that was registered")
    manifest = json.loads(content)
    _require(manifest["format"] == FORMAT, target, f"its format is {manifest['format']}, this code reads {FORMAT}")
    data = _read(target / MODEL_FILE)
    _require(sha256(data).hexdigest() == manifest["model_sha256"], target, "its trees are not those of its manifest")
    if features is not None:
        _require(manifest["features"] == list(features), target, "it was trained on other features than are at hand")
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    _require(booster.feature_names == manifest["features"], target, "its trees name other features than its manifest")
    booster.set_param({"nthread": 1})
    return booster


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityBroken(
            f"model file {path} cannot be read ({error}); train it again: acis train screener"
        ) from error


def _require(fits: bool, target: Path, complaint: str) -> None:
    if not fits:
        raise IntegrityBroken(f"model {target} is refused: {complaint}; train it again: acis train screener")


def _whole(target: Path, digest: str) -> bool:
    """Both files are there and are what they were."""
    try:
        content, data = (target / MANIFEST_FILE).read_bytes(), (target / MODEL_FILE).read_bytes()
    except OSError:
        return False
    return sha256(content).hexdigest() == digest and sha256(data).hexdigest() == json.loads(content)["model_sha256"]
