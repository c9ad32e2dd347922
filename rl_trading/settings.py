"""How long and how a policy learns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """One seed's learning. Many environments and large batches: on a CPU the optimiser is the wall, not the game.

    Weekly decisions hardly bind the next ones, so the discount is low; the step sizes are large because the clip of a
    51-dimensional action leaves little way to go in one update.
    """

    steps: int = 40_960
    environments: int = 64
    rollout: int = 16
    batch: int = 512
    epochs: int = 4
    learning_rate: float = 1e-2
    discount: float = 0.6
    advantage_decay: float = 0.9
    clip: float = 0.4
    device: str = "cpu"


FULL_STEPS = 400_000
SEEDS = 3
