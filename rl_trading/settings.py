"""How long and how a policy learns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """One seed's learning. Many environments and large batches: on a CPU the optimiser is the wall, not the game.

    Weekly decisions hardly bind the next ones, so the discount is low; the clip is wide because 51 actions share it.
    `entropy` is the bonus at the start, it falls to zero with the step size. `exams` is how often the policy is tried
    on the validation year; the best one is kept.
    """

    steps: int = 81_920
    environments: int = 64
    rollout: int = 16
    batch: int = 1024
    epochs: int = 4
    learning_rate: float = 3e-3
    entropy: float = 1e-3
    discount: float = 0.6
    advantage_decay: float = 0.9
    clip: float = 0.4
    exams: int = 8
    device: str = "cpu"


FULL_STEPS = 1_000_448  # a million in whole rollouts
SEEDS = 10
