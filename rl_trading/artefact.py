"""A fold's policy on disk: one ONNX graph of all seeds under a signed manifest. Loading needs onnxruntime, never torch.

See registry.artefact for what is checked before a graph is looked at.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as bindings

from registry import artefact
from rl_trading.graph import check_graph
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS
from rl_trading.windows import STOCKS

MANIFEST_FILE = artefact.MANIFEST_FILE
POLICY_FILE = "policy.onnx"
_FOLDER = "allocator"

_SHAPES = {
    "stocks": (STOCKS, len(STOCK_COLUMNS)),
    "mask": (STOCKS,),
    "context": (len(CONTEXT_COLUMNS),),
    "weights": (STOCKS,),
    "account": (2,),
    "allocation": (STOCKS + 1,),
    "seeds": (STOCKS + 1,),
}
_UNREADABLE = (
    *(bindings.Fail, bindings.InvalidArgument, bindings.InvalidGraph, bindings.InvalidProtobuf),
    *(bindings.NotImplemented, bindings.RuntimeException),
)

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]


class Policy:
    """The seeds' graph, loaded: raw observations in, weights under the limits out."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Sizes of each tensor that goes in or comes out, but for those that are free (and the number of seeds)."""
        tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
        return {
            tensor.name: tuple(tensor.shape[2 if tensor.name == "seeds" else 1 :])
            for tensor in tensors
            if tensor.type == "tensor(float)"
        }

    @property
    def seeds(self) -> int:
        """How many seeds it is the mean of."""
        return int(self._session.get_outputs()[1].shape[0])

    def weights(
        self, stocks: Floats32, mask: npt.NDArray[np.bool_], context: Floats32, held: Floats, account: Floats
    ) -> Floats:
        """Weights (b, n + 1; cash last), each row summing to one: the mean of the seeds'.

        stocks (b, n, c) and context (b, m) raw, NaN = unknown; mask (b, n); held (b, n) weights now; account (b, 2) =
        cash weight and weight of what is held outside the list.
        """
        return self._answer("allocation", stocks, mask, context, held, account)

    def weights_by_seed(
        self, stocks: Floats32, mask: npt.NDArray[np.bool_], context: Floats32, held: Floats, account: Floats
    ) -> Floats:
        """What each seed says to the same: (k, b, n + 1)."""
        return self._answer("seeds", stocks, mask, context, held, account)

    def _answer(
        self,
        output: str,
        stocks: Floats32,
        mask: npt.NDArray[np.bool_],
        context: Floats32,
        held: Floats,
        account: Floats,
    ) -> Floats:
        inputs = {
            "stocks": np.asarray(stocks, dtype=np.float32),
            "mask": mask.astype(np.float32),
            "context": np.asarray(context, dtype=np.float32),
            "weights": held.astype(np.float32),
            "account": account.astype(np.float32),
        }
        weights: Floats = self._session.run([output], inputs)[0].astype(np.float64)
        # Single precision leaves some 1e-7; cash takes it up.
        weights[..., -1] = np.maximum(1.0 - weights[..., :-1].sum(axis=-1), 0.0)
        return weights


def save(folder: Path, year: int, graph: bytes, description: Mapping[str, Any]) -> tuple[str, str, Any]:
    """Write the graph and its manifest under `folder`, signed; returns (relative folder, SHA-256 of the manifest,
    manifest). What is there already and whole is left alone."""
    return artefact.save(
        folder,
        name=_FOLDER,
        label=str(year),
        files={POLICY_FILE: graph},
        description={**description, **_here()},
    )


@lru_cache(maxsize=64)
def load(target: Path, expected_sha256: str) -> Policy:
    """The policy. ArtefactRefused where anything differs from what was stored or from what this code feeds it.

    `expected_sha256` is the database's hash of the manifest. Loaded once a process.
    """
    stored = artefact.load(target, expected_sha256=expected_sha256, expected=_here())
    if POLICY_FILE not in stored.files:
        raise artefact.refuse(target, f"it holds no {POLICY_FILE}")
    complaint = check_graph(stored.files[POLICY_FILE])
    if complaint is not None:
        raise artefact.refuse(target, f"{POLICY_FILE} {complaint}")
    try:
        policy = Policy(stored.files[POLICY_FILE])
    except _UNREADABLE as error:
        raise artefact.refuse(target, f"onnxruntime cannot read {POLICY_FILE} ({error})") from error
    if policy.shapes != _SHAPES:
        raise artefact.refuse(target, f"{POLICY_FILE} takes or gives other tensors than a policy")
    return policy


def _here() -> dict[str, Any]:
    """What a graph is fed, by the manifest's keys."""
    return {"stocks": STOCKS, "stock_columns": list(STOCK_COLUMNS), "context_columns": list(CONTEXT_COLUMNS)}
