"""Proximal policy optimisation of one seed: Stable-Baselines3's learner on the batched environment.

Schulman et al. (2017), "Proximal Policy Optimization Algorithms", as stable_baselines3.PPO has it.
"""

from collections.abc import Callable

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from rl_trading.dynamics import STANDARD_RULES, Rules
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
    rules: Rules = STANDARD_RULES,
    heard: Callable[[int], None] | None = None,
) -> StockEncoder:
    """Train one policy; the same seed on the same recording gives the same network. Returns it on the CPU.

    `heard` is told the number of steps taken after each rollout. Uses one torch thread: two spin against each other.
    """
    torch.set_num_threads(1)
    environment = AllocationVecEnv(recording, training.environments, seed=seed, rules=rules, controlled=True)
    learner = PPO(
        AllocationPolicy,
        environment,
        n_steps=training.rollout,
        batch_size=training.batch,
        n_epochs=training.epochs,
        learning_rate=lambda left: training.learning_rate * left,
        gamma=training.discount,
        gae_lambda=training.advantage_decay,
        clip_range=training.clip,
        policy_kwargs={"layout": layout},
        seed=seed,
        device=training.device,
    )
    learner.learn(training.steps, callback=_Told(heard) if heard else None)
    assert isinstance(learner.policy, AllocationPolicy)
    return learner.policy.network.to("cpu").eval()


class _Told(BaseCallback):
    def __init__(self, heard: Callable[[int], None]) -> None:
        super().__init__()
        self._heard = heard

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._heard(self.num_timesteps)
