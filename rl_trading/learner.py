"""A process that trains policies: `python -m rl_trading.learner`. The only place of the room in which torch runs.

One task a line on standard input, as JSON; for each, lines {"steps": n} and finally {"written": path} on standard
output. It ends when its input ends. Processes and not imports, so that a worker or a night never carries torch.
"""

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from stable_baselines3.common.env_checker import check_env

from rl_trading.dynamics import STANDARD_RULES
from rl_trading.env import AllocationEnv
from rl_trading.export import export
from rl_trading.observation import Layout, Scales
from rl_trading.ppo import learn
from rl_trading.settings import Training
from rl_trading.windows import Recording


@lru_cache(maxsize=1)
def _recording(path: Path) -> Recording:
    """The recording, its game checked once before anything learns from it."""
    recording = Recording.load(path)
    check_env(AllocationEnv(recording))
    return recording


def _tell(answers: TextIO, **answer: Any) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def work(tasks: TextIO, answers: TextIO) -> None:
    """Do the tasks one after the other.

    A task: "recording" (file of `Recording.save`), "layout" and "scales" (their fields), "training" (fields of
    `Training`), "seed", and "output", the file that receives the ONNX graph.
    """
    for line in tasks:
        task = json.loads(line)
        layout = Layout(**task["layout"])
        network = learn(
            _recording(Path(task["recording"])),
            layout,
            seed=task["seed"],
            training=Training(**task["training"]),
            heard=lambda steps: _tell(answers, steps=steps),
        )
        scales = Scales(**{name: np.array(values) for name, values in task["scales"].items()})
        Path(task["output"]).write_bytes(export(network, scales, STANDARD_RULES.limits))
        _tell(answers, written=task["output"])


if __name__ == "__main__":
    work(sys.stdin, sys.stdout)
