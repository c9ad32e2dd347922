"""Proximal policy optimisation of one seed: Stable-Baselines3's learner on the batched environment.

Schulman et al. (2017), "Proximal Policy Optimization Algorithms", as stable_baselines3.PPO has it. Step size and
entropy bonus fall to zero over the training. A few times on the way the policy sits an exam on decisions that it does
not learn from, and the one that did best is kept: more steps then cannot end in a worse policy than fewer by learning
the training years by heart.
"""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from core.errors import InputError
from rl_trading.dynamics import STANDARD_RULES, Portfolios, Rules
from rl_trading.env import AllocationVecEnv
from rl_trading.observation import Layout
from rl_trading.policy import AllocationPolicy, StockEncoder
from rl_trading.settings import Training
from rl_trading.windows import Recording


def learn(
    recording: Recording,
    layout: Layout,
    *,
    seed: int,
    training: Training,
    validation: Recording | None = None,
    rules: Rules = STANDARD_RULES,
    heard: Callable[[int], None] | None = None,
) -> StockEncoder:
    """Train one policy; the same seed on the same recordings gives the same network. Returns it on the CPU.

    With a `validation` it is the network that did best there on the way, without one the last. `heard` is told the
    number of steps taken after each rollout. Uses one torch thread: two spin against each other. InputError for a
    device that is not there.
    """
    _require(training.device)
    torch.set_num_threads(1)
    environment = AllocationVecEnv(recording, training.environments, seed=seed, rules=rules, controlled=True)
    learner = PPO(
        AllocationPolicy,
        environment,
        n_steps=training.rollout,
        batch_size=training.batch,
        n_epochs=training.epochs,
        learning_rate=lambda left: training.learning_rate * left,
        ent_coef=training.entropy,
        gamma=training.discount,
        gae_lambda=training.advantage_decay,
        clip_range=training.clip,
        policy_kwargs={"layout": layout},
        seed=seed,
        device=training.device,
    )
    coach = _Coach(training, Exam(validation, rules) if validation else None, heard)
    learner.learn(training.steps, callback=coach)
    assert isinstance(learner.policy, AllocationPolicy)
    return coach.best(learner.policy.network).to("cpu").eval()


def _require(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda: PyTorch finds no GPU here; leave --device out to train on the CPU, or install the CUDA build"
            " of PyTorch (the extra `gpu` in pyproject.toml) on a machine with an NVIDIA driver"
        )


class Exam:
    """The Sharpe ratio of a day that a network earns on decisions it has not learned from, as a mean over strategies.

    All segments are walked at once, each by one portfolio from cash; net of costs.
    """

    def __init__(self, recording: Recording, rules: Rules = STANDARD_RULES) -> None:
        self._first = np.array([segment.first for segment in recording.segments])
        self._last = np.array([segment.last for segment in recording.segments])
        self._portfolios = Portfolios(recording, len(self._first), rules)

    def score(self, network: StockEncoder) -> float:
        """Higher is better."""
        portfolios, everybody = self._portfolios, np.arange(len(self._first))
        device = next(network.parameters()).device
        portfolios.start(everybody, self._first)
        gains: list[list[npt.NDArray[np.float64]]] = [[] for _ in everybody]
        at_end = np.zeros(len(everybody), dtype=np.bool_)
        while not at_end.all():
            with torch.no_grad():
                means, _ = network(torch.from_numpy(portfolios.observe()).to(device))
            rows, before = portfolios.state.row.copy(), portfolios.state.value.copy()
            portfolios.act(means.cpu().numpy().astype(np.float64))
            days = portfolios.recording.tape.days[rows]
            for e in np.flatnonzero(~at_end):
                path = np.append(before[e], portfolios.outcome.values[e, : days[e]])
                gains[e].append(path[1:] / path[:-1] - 1.0)
            done = ~at_end & (portfolios.state.row >= self._last)
            at_end |= done
            # Whoever is through goes round again unheard, for a portfolio cannot stand still.
            over = np.flatnonzero(at_end & (portfolios.state.row >= self._last))
            portfolios.start(over, self._first[over])
        daily = [np.concatenate(parts) for parts in gains]
        return float(np.mean([returns.mean() / max(returns.std(), 1e-9) for returns in daily]))


class _Coach(BaseCallback):
    """Lowers the entropy bonus, tells the steps, holds the exams."""

    def __init__(self, training: Training, exam: Exam | None, heard: Callable[[int], None] | None) -> None:
        super().__init__()
        self._training, self._exam, self._heard = training, exam, heard
        self._sat = 0
        self._best: tuple[float, StockEncoder] | None = None

    def best(self, last: StockEncoder) -> StockEncoder:
        """The network that did best; `last` is the one at the end of the training, which sits the last exam."""
        if self._exam is None:
            return last
        self._examine(last)
        assert self._best is not None
        return self._best[1]

    def _examine(self, network: StockEncoder) -> None:
        assert self._exam is not None
        score = self._exam.score(network)
        if self._best is None or score > self._best[0]:
            self._best = (score, deepcopy(network))

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        left = max(1.0 - self.num_timesteps / self._training.steps, 0.0)
        self.model.ent_coef = self._training.entropy * left
        due = int(self._training.exams * (1.0 - left))
        if self._exam is not None and self._sat < due < self._training.exams:
            self._sat = due
            assert isinstance(self.model.policy, AllocationPolicy)
            self._examine(self.model.policy.network)
        if self._heard is not None:
            self._heard(self.num_timesteps)
