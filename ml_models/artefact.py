"""A screener on disk: its model's files under a signed manifest that says what they are; see registry.artefact."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xgboost

from core.errors import IntegrityBroken
from ml_models.algorithm import Model
from ml_models.algorithms import ALGORITHMS
from registry import artefact

MANIFEST_FILE = artefact.MANIFEST_FILE


@dataclass(frozen=True)
class Manifest:
    """What a screener is: enough to judge it, to grow it again and to refuse it where it does not fit."""

    name: str
    strategy: str
    algorithm: str
    tuned: bool
    origin: dict[str, Any]
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


def save(folder: Path, model: Model, manifest: Manifest) -> tuple[str, str]:
    """Write files and manifest under `folder`, signed; returns (name of the folder made inside it, SHA-256 of the
    manifest). What is there already and whole is left alone."""
    relative, digest, _ = artefact.save(
        folder,
        name=manifest.name,
        label=manifest.valid_from_on[:4],
        files=model.to_files(),
        description=manifest.as_dict(),
    )
    return relative, digest


def load(target: Path, *, expected_sha256: str, features: Sequence[str] | None = None) -> Model:
    """The model of one artefact, for one thread. ArtefactRefused where anything differs from what was stored.

    `expected_sha256` is the database's hash of the manifest; `features` the columns that the caller will hand in.
    """
    expected = {} if features is None else {"features": list(features)}
    stored = artefact.load(target, expected_sha256=expected_sha256, expected=expected)
    name = stored.manifest.get("algorithm")
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise artefact.refuse(target, f"its algorithm {name!r} is none of {', '.join(sorted(ALGORITHMS))}")
    try:
        model = ALGORITHMS[name].read(stored.files)
    except KeyError as missing:
        raise artefact.refuse(target, f"it holds no {missing.args[0]}") from missing
    except (xgboost.core.XGBoostError, IntegrityBroken) as error:
        raise artefact.refuse(target, f"{name} cannot read its files ({error})") from error
    if list(model.features) != stored.manifest["features"]:
        raise artefact.refuse(target, "its files name other features than its manifest")
    return model
