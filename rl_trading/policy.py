"""The policy: one encoder shared by all stocks, a pooled view of the list, logits that do not know places.

Zaheer et al. (2017), "Deep Sets": f({x_1..x_n}) = rho(sum phi(x_i)) is invariant; a head that sees (phi(x_i), pooled)
is equivariant. So neither the order nor the identity of the stocks matters.

What is seen of the market, the regime's probabilities among it, multiplies what is seen of each stock: Perez et al.
(2018), "FiLM: Visual Reasoning with a General Conditioning Layer". So the same feature may be liked in one regime and
avoided in another, which a sum of the two learns far more slowly.
"""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from rl_trading.observation import Layout

WIDTH = 16
LOG_STD_START = -1.0


class StockEncoder(nn.Module):
    """Observation -> (action means of n stocks and cash, value). Splits what `dynamics.observe` put together."""

    def __init__(self, layout: Layout, width: int = WIDTH) -> None:
        super().__init__()
        self.layout = layout
        market = layout.context + 2
        self.encoder = nn.Sequential(
            nn.Linear(layout.features + 1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.pooled = nn.Sequential(nn.Linear(width + market, width), nn.Tanh())
        self.own = nn.Linear(width, width)
        self.shared = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.stock_head = nn.Linear(width, 1)
        self.cash_head = nn.Linear(width, 1)
        self.value_head = nn.Sequential(nn.Linear(width + market, width), nn.Tanh(), nn.Linear(width, 1))
        # A new policy starts near equal weight.
        for head in (self.stock_head, self.cash_head):
            nn.init.orthogonal_(head.weight, 0.01)
            nn.init.zeros_(head.bias)

    def split(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(b, d) -> stocks (b, n, c), mask (b, n), context (b, m), weights (b, n), account (b, 2)."""
        layout = self.layout
        sizes = [layout.stocks * layout.features, layout.stocks, layout.context, layout.stocks, 2]
        stocks, mask, context, weights, account = torch.split(observation, sizes, dim=1)
        return stocks.reshape(-1, layout.stocks, layout.features), mask, context, weights, account

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """(b, d) -> action means (b, n + 1), value (b, 1)."""
        return self.see(*self.split(observation))

    def see(
        self, stocks: Tensor, mask: Tensor, context: Tensor, weights: Tensor, account: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same from the parts; weights enter in multiples of an equal share."""
        share = weights.unsqueeze(2) * self.layout.stocks
        encoded = self.encoder(torch.cat([stocks, share], dim=2))
        present = mask.unsqueeze(2)
        mean = (encoded * present).sum(dim=1) / present.sum(dim=1).clamp(min=1.0)
        market = torch.cat([context, account], dim=1)
        seen = torch.cat([mean, market], dim=1)
        pooled = self.pooled(seen)
        scale, shift = 1.0 + self.gate(pooled), self.shared(pooled)
        mixed = torch.tanh(self.own(encoded) * scale.unsqueeze(1) + shift.unsqueeze(1))
        means = torch.cat([self.stock_head(mixed).squeeze(2), self.cash_head(pooled)], dim=1)
        return means, self.value_head(seen)


class AllocationPolicy(ActorCriticPolicy):
    """Stable-Baselines3's actor-critic around `StockEncoder`; one noise for all stocks, one for cash."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        layout: Layout,
        **options: Any,
    ) -> None:
        assert observation_space.shape is not None
        layout.check(observation_space.shape[0])
        self.layout = layout
        super().__init__(observation_space, action_space, lr_schedule, **options)

    def _build(self, lr_schedule: Schedule) -> None:
        self.network = StockEncoder(self.layout)
        self.noise = nn.Parameter(torch.full((2,), LOG_STD_START))
        options = self.optimizer_kwargs
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg] # the declared class is the base of all optimisers, which takes no lr

    def _distribution(self, means: Tensor) -> Distribution:
        log_std = torch.cat([self.noise[:1].expand(self.layout.stocks), self.noise[1:]])
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        return self.action_dist.proba_distribution(means, log_std)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, values and log-probabilities of a batch of observations."""
        means, values = self.network(obs)
        distribution = self._distribution(means)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log-probabilities and entropy of actions taken."""
        means, values = self.network(obs)
        distribution = self._distribution(means)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """The action distribution of a batch."""
        return self._distribution(self.network(obs)[0])

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """The critic's values of a batch."""
        values: Tensor = self.network(obs)[1]
        return values
