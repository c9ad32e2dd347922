"""The allocation game for learners: many portfolios at once (`AllocationVecEnv`) or one (`AllocationEnv`)."""

from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from core.errors import InputError
from rl_trading.dynamics import STANDARD_RULES, Portfolios, Rules
from rl_trading.windows import Recording

EPISODE_STEPS = 52
_BOUND = 1e3


def _spaces(portfolios: Portfolios) -> tuple[spaces.Box, spaces.Box]:
    observation = spaces.Box(-_BOUND, _BOUND, (portfolios.observation_size,), dtype=np.float32)
    return observation, spaces.Box(-1.0, 1.0, (portfolios.stocks + 1,), dtype=np.float32)


class _Starts:
    """Where episodes may start: every row with at least one step after it, and the last row each may reach."""

    def __init__(self, recording: Recording, steps: int) -> None:
        if not recording.segments:
            raise InputError("the recording holds no two consecutive decisions; load more scores")
        # Starts leave room for a full episode where the segment has it, so that ends are not over-represented.
        spans = [(s.first, max(s.first + 1, s.last - steps + 1), s.last) for s in recording.segments]
        self._rows = np.concatenate([np.arange(first, stop) for first, stop, _ in spans])
        self._ends = np.concatenate([np.minimum(np.arange(f, s) + steps, last) for f, s, last in spans])

    def draw(self, generator: np.random.Generator, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Random first rows and the rows at which their episodes stop."""
        chosen = generator.integers(len(self._rows), size=count)
        return self._rows[chosen], self._ends[chosen]


class AllocationVecEnv(VecEnv):
    """`count` portfolios stepped in arrays. Each episode: a random strategy and first session, one year of weeks.

    Every end is a truncation: the market goes on, so the learner bootstraps from the last observation.

    `controlled` subtracts from each reward what equal weights would have earned in the same window. No action changes
    that number, so the policy gradient keeps its mean and loses most of its variance: an input-driven baseline, Mao et
    al. (2019), "Variance Reduction for Reinforcement Learning in Input-Driven Environments".
    """

    def __init__(
        self,
        recording: Recording,
        count: int,
        *,
        seed: int,
        episode_steps: int = EPISODE_STEPS,
        rules: Rules = STANDARD_RULES,
        controlled: bool = False,
    ) -> None:
        self.portfolios = Portfolios(recording, count, rules)
        self._controlled = controlled
        self.render_mode = None
        super().__init__(count, *_spaces(self.portfolios))
        self._starts = _Starts(recording, episode_steps)
        self._generator = np.random.default_rng(seed)
        self._ends = np.zeros(count, dtype=np.int64)
        self._actions = np.zeros((count, self.portfolios.stocks + 1))
        self._returns = np.zeros(count)
        self._lengths = np.zeros(count, dtype=np.int64)

    def reset(self) -> VecEnvObs:
        """Start every portfolio anew; a seed given to `seed()` before holds from here."""
        if any(seed is not None for seed in self._seeds):
            self._generator = np.random.default_rng([seed or 0 for seed in self._seeds])
        self._reset_seeds()
        self._restart(np.arange(self.num_envs))
        return self.portfolios.observe().copy()

    def _restart(self, which: npt.NDArray[np.int64]) -> None:
        rows, self._ends[which] = self._starts.draw(self._generator, len(which))
        self.portfolios.start(which, rows)
        self._returns[which] = 0.0
        self._lengths[which] = 0

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Take note of the actions (e, n + 1)."""
        self._actions = actions.astype(np.float64)

    def step_wait(self) -> VecEnvStepReturn:
        """One rebalance of every portfolio and the sessions up to the next."""
        control = self.portfolios.recording.tape.control[self.portfolios.state.row] if self._controlled else 0.0
        self.portfolios.act(self._actions)
        rewards = (self.portfolios.outcome.reward - control).astype(np.float32)
        self._returns += rewards
        self._lengths += 1
        dones = self.portfolios.state.row >= self._ends
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            finished = np.flatnonzero(dones)
            last = self.portfolios.observe()[finished]
            for place, e in enumerate(finished):
                infos[e] = {
                    "terminal_observation": last[place],
                    "TimeLimit.truncated": True,
                    "episode": {"r": float(self._returns[e]), "l": int(self._lengths[e]), "t": 0.0},
                }
            self._restart(finished)
        return self.portfolios.observe().copy(), rewards, dones, infos

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute, once for each portfolio asked for: they share it."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """The portfolios share every attribute, so it cannot be set for some of them."""
        if indices is not None:
            raise InputError(f"{attr_name} is shared by all portfolios; leave indices out")
        setattr(self, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ARG002 the base class fixes the form
        indices: VecEnvIndices = None,  # noqa: ARG002
        **method_kwargs: Any,  # noqa: ARG002
    ) -> list[Any]:
        """Refused: there are no environments inside, only arrays."""
        raise InputError(f"{method_name}: the portfolios are rows of arrays and have no methods of their own")

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],  # noqa: ARG002 the base class fixes the form
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Never: episode statistics are reported here already."""
        return [False for _ in self._get_indices(indices)]

    def _get_indices(self, indices: VecEnvIndices) -> Sequence[int]:
        chosen: Sequence[int] = list(super()._get_indices(indices))
        return chosen


class AllocationEnv(gymnasium.Env[npt.NDArray[np.float32], npt.NDArray[np.float32]]):
    """One portfolio, same dynamics, as Gymnasium's interface has it."""

    metadata = {"render_modes": []}  # noqa: RUF012 the base class fixes the form

    def __init__(
        self, recording: Recording, *, episode_steps: int = EPISODE_STEPS, rules: Rules = STANDARD_RULES
    ) -> None:
        self.portfolios = Portfolios(recording, 1, rules)
        observation, action = _spaces(self.portfolios)
        self.observation_space = cast("gymnasium.Space[npt.NDArray[np.float32]]", observation)
        self.action_space = cast("gymnasium.Space[npt.NDArray[np.float32]]", action)
        self._starts = _Starts(recording, episode_steps)
        self._end = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Start at a random strategy and session, or at the row of the recording that options["row"] names."""
        super().reset(seed=seed)
        rows, ends = self._starts.draw(self.np_random, 1)
        if options and "row" in options:
            rows[0] = options["row"]
            ends[0] = next(s.last for s in self.portfolios.recording.segments if s.first <= rows[0] < s.last)
        self.portfolios.start(np.array([0]), rows)
        self._end = int(ends[0])
        return self.portfolios.observe()[0].copy(), {}

    def step(
        self, action: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One rebalance and the sessions up to the next; truncated at the end of the year or of the data."""
        self.portfolios.act(np.asarray(action, dtype=np.float64)[None, :])
        outcome, state = self.portfolios.outcome, self.portfolios.state
        info = {"value_cents": int(state.value[0]), "costs_cents": int(outcome.costs[0])}
        truncated = bool(state.row[0] >= self._end)
        return self.portfolios.observe()[0].copy(), float(outcome.reward[0]), False, truncated, info
