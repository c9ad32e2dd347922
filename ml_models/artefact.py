"""A screener on disk: the trees as UBJSON under a signed manifest that says what they are. See registry.artefact."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xgboost

from registry import artefact

MODEL_FILE = "model.ubj"
MANIFEST_FILE = artefact.MANIFEST_FILE


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

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def save(folder: Path, booster: xgboost.Booster, manifest: Manifest) -> tuple[str, str]:
    """Write trees and manifest under `folder`, signed; returns (name of the folder made inside it, SHA-256 of the
    manifest). What is there already and whole is left alone."""
    relative, digest, _ = artefact.save(
        folder,
        name=manifest.name,
        label=manifest.valid_from_on[:4],
        files={MODEL_FILE: trees(booster)},
        description=manifest.as_dict(),
    )
    return relative, digest


def trees(booster: xgboost.Booster) -> bytes:
    """The booster in UBJSON."""
    return bytes(booster.save_raw(raw_format="ubj"))


def load(target: Path, *, expected_sha256: str, features: Sequence[str] | None = None) -> xgboost.Booster:
    """The booster of one artefact, for one thread. ArtefactRefused where anything differs from what was stored.

    `expected_sha256` is the database's hash of the manifest; `features` the columns that the caller will hand in.
    """
    expected = {} if features is None else {"features": list(features)}
    stored = artefact.load(target, expected_sha256=expected_sha256, expected=expected)
    if MODEL_FILE not in stored.files:
        raise artefact.refuse(target, f"it holds no {MODEL_FILE}")
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(stored.files[MODEL_FILE]))
    except xgboost.core.XGBoostError as error:
        raise artefact.refuse(target, f"XGBoost cannot read its trees ({error})") from error
    if booster.feature_names != stored.manifest["features"]:
        raise artefact.refuse(target, "its trees name other features than its manifest")
    booster.set_param({"nthread": 1})
    return booster
