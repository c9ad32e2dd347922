"""A process that trains policies: `python -m rl_trading.learner`. The only place of the room in which torch runs.

One task a line on standard input, as JSON; for each, lines {"steps": n} and finally {"written": path} on standard
output, or {"refused": why}. It ends when its input ends. Processes and not imports, so that a worker or a night never
carries torch.
"""

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from stable_baselines3.common.env_checker import check_env

from core.errors import InputError
from rl_trading.dynamics import STANDARD_RULES
from rl_trading.env import AllocationEnv
from rl_trading.export import export
from rl_trading.observation import Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.ppo import learn
from rl_trading.settings import Training
from rl_trading.windows import Recording


@lru_cache(maxsize=1)
def _recording(path: Path) -> Recording:
    """The recording, its game checked once before anything learns from it."""
    recording = Recording.load(path)
    check_env(AllocationEnv(recording))
    return recording


@lru_cache(maxsize=1)
def _validation(path: Path) -> Recording:
    return Recording.load(path)


def _tell(answers: TextIO, **answer: Any) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _learn(task: Mapping[str, Any], answers: TextIO) -> None:
    network = learn(
        _recording(Path(task["recording"])),
        Layout(**task["layout"]),
        seed=task["seed"],
        training=Training(**task["training"]),
        validation=_validation(Path(task["validation"])) if task["validation"] else None,
        heard=lambda steps: _tell(answers, steps=steps),
    )
    output = Path(task["output"])
    half_written = output.with_suffix(".part.npz")
    np.savez(half_written, **{name: value.numpy() for name, value in network.state_dict().items()})
    # A seed that is there is whole: a training that was cut off goes on from the seeds that it finds.
    half_written.rename(output)


def _join(task: Mapping[str, Any]) -> None:
    layout = Layout(**task["layout"])
    networks = []
    for path in task["seeds"]:
        network = StockEncoder(layout)
        with np.load(path, allow_pickle=False) as stored:
            network.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files})
        networks.append(network.eval())
    scales = Scales(**{name: np.array(values) for name, values in task["scales"].items()})
    Path(task["output"]).write_bytes(export(networks, scales, STANDARD_RULES.limits))


def work(tasks: TextIO, answers: TextIO) -> None:
    """Do the tasks one after the other; each names its "layout" and "output".

    To learn: "recording" and "validation" (files of `Recording.save`, the second may be null), "training" (fields of
    `Training`) and "seed"; the output receives the network's parameters, a plain NumPy archive. To join: "seeds", the
    archives, and "scales"; the output receives their ONNX graph.
    """
    for line in tasks:
        task = json.loads(line)
        try:
            if "seeds" in task:
                _join(task)
            else:
                _learn(task, answers)
        except InputError as error:
            _tell(answers, refused=str(error))
        else:
            _tell(answers, written=task["output"])


if __name__ == "__main__":
    work(sys.stdin, sys.stdout)
