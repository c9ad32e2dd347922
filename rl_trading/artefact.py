"""A fold's policies on disk: one ONNX graph a seed and a manifest. Loading needs onnxruntime, never torch.

The folder is named by the hash of the manifest, the manifest holds the hash of each graph, and the database holds the
hash of the manifest: whoever swaps or edits a file is refused at the next load.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from core.errors import IntegrityBroken
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS
from rl_trading.windows import STOCKS

MANIFEST_FILE = "manifest.json"
FORMAT = 1
_FOLDER = "allocator"

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]


def policy_file(seed: int) -> str:
    """Name of one seed's graph."""
    return f"policy-{seed}.onnx"


class Policy:
    """One seed's graph, loaded: raw observations in, weights under the limits out."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def weights(
        self, stocks: Floats32, mask: npt.NDArray[np.bool_], context: Floats32, held: Floats, account: Floats
    ) -> Floats:
        """Weights (b, n + 1; cash last), each row summing to one.

        stocks (b, n, c) and context (b, m) raw, NaN = unknown; mask (b, n); held (b, n) weights now; account (b, 2) =
        cash weight and weight of what is held outside the list.
        """
        inputs = {
            "stocks": np.asarray(stocks, dtype=np.float32),
            "mask": mask.astype(np.float32),
            "context": np.asarray(context, dtype=np.float32),
            "weights": held.astype(np.float32),
            "account": account.astype(np.float32),
        }
        weights: Floats = self._session.run(None, inputs)[0].astype(np.float64)
        # Single precision leaves some 1e-7; cash takes it up.
        weights[:, -1] = np.maximum(1.0 - weights[:, :-1].sum(axis=1), 0.0)
        return weights


def save(folder: Path, year: int, graphs: Mapping[int, bytes], description: Mapping[str, Any]) -> tuple[str, str, Any]:
    """Write graphs by seed and manifest under `folder`; returns (relative folder, SHA-256 of the manifest, manifest).

    They appear together or not at all. An artefact that is there already and whole is left alone.
    """
    files = {policy_file(seed): content for seed, content in sorted(graphs.items())}
    manifest = {
        **description,
        "format": FORMAT,
        "stocks": STOCKS,
        "stock_columns": list(STOCK_COLUMNS),
        "context_columns": list(CONTEXT_COLUMNS),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    content = json.dumps(manifest, indent=1, sort_keys=True).encode()
    digest = sha256(content).hexdigest()
    target = folder / _FOLDER / f"{year}-{digest[:16]}"
    if not _whole(target, {**manifest["files"], MANIFEST_FILE: digest}):
        _place(target, {**files, MANIFEST_FILE: content})
    return str(target.relative_to(folder)), digest, manifest


def _place(target: Path, files: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        for name, content in files.items():
            with (building / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _whole(target: Path, digests: Mapping[str, str]) -> bool:
    return all(
        (target / name).is_file() and sha256((target / name).read_bytes()).hexdigest() == digest
        for name, digest in digests.items()
    )


@lru_cache(maxsize=16)
def load(target: Path, expected_sha256: str, seed: int) -> Policy:
    """One seed's policy. IntegrityBroken where anything differs from what was stored or from what this code feeds it.

    `expected_sha256` is the database's hash of the manifest. Loaded once a process.
    """
    content = _read(target / MANIFEST_FILE)
    _require(sha256(content).hexdigest() == expected_sha256, target, "its manifest is not the one that was registered")
    manifest = json.loads(content)
    _require(manifest["format"] == FORMAT, target, f"its format is {manifest['format']}, this code reads {FORMAT}")
    columns = (manifest["stocks"], manifest["stock_columns"], manifest["context_columns"])
    here = (STOCKS, list(STOCK_COLUMNS), list(CONTEXT_COLUMNS))
    _require(columns == here, target, "it was trained on other columns than are at hand")
    name = policy_file(seed)
    _require(name in manifest["files"], target, f"it holds no policy of seed {seed}")
    graph = _read(target / name)
    _require(sha256(graph).hexdigest() == manifest["files"][name], target, f"{name} is not the file of its manifest")
    return Policy(graph)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityBroken(
            f"policy file {path} cannot be read ({error}); train it again: acis train allocator"
        ) from error


def _require(holds: bool, target: Path, trouble: str) -> None:
    if not holds:
        raise IntegrityBroken(f"allocator {target} is refused: {trouble}")
