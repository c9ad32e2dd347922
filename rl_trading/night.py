"""One strategy's decision of one night in one lane: what is seen, who decides, what comes out and why.

No SQL, no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from core.money import Weight
from database.queries.allocations import Held
from database.tables.models import ModelVersion
from database.tables.regimes import LABELS
from registry.artefact import place
from rl_trading import artefact, baselines
from rl_trading.baselines import past_returns, simple_weights
from rl_trading.dataset import places
from rl_trading.evaluate import PPO
from rl_trading.observation import MARKET_FEATURES, SCORE_COLUMNS, STOCK_COLUMNS, STOCK_FEATURES
from rl_trading.prices import PastPrices
from rl_trading.weights import STANDARD_LIMITS, quantise
from rl_trading.windows import REBALANCE_SESSIONS, STOCKS

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
_TILTS_SHOWN = 5
_DIGITS = 6


class Policy(Protocol):
    """A learned allocator as the night asks it; see `artefact`."""

    def weights(
        self, stocks: Floats32, mask: npt.NDArray[np.bool_], context: Floats32, held: Floats, account: Floats
    ) -> Floats:
        """Weights (b, n + 1; cash last) of b portfolios."""


@dataclass(frozen=True)
class Candidates:
    """The list of one strategy as the allocator sees it: raw observations, and the prices before the night."""

    instrument_ids: tuple[int, ...]
    stocks: Floats32  # (n, c)
    mask: npt.NDArray[np.bool_]  # (n)
    context: Floats32  # (m)
    prices: PastPrices

    @property
    def returns(self) -> Floats:
        """Past returns of each slot (sessions, n), which only the simple allocators look at."""
        slots = np.full(STOCKS, -1, dtype=np.int64)
        slots[: len(self.instrument_ids)] = self.prices.slots(list(self.instrument_ids))
        return past_returns(self.prices.closes, len(self.prices.closes) - 1, slots)


def lay_out(
    chosen: Sequence[tuple[int, float]],
    features: pl.DataFrame,
    probabilities: Mapping[str, float],
    prices: PastPrices,
) -> Candidates:
    """From (instrument_id, score) best first, the day's features, the regime's probabilities and past prices.

    A stock without features of the day is left unseen: its slot counts as empty.
    """
    ids = [instrument_id for instrument_id, _ in chosen][:STOCKS]
    # Columns of the frame as they lie: a join for each strategy would cost more than the policy itself.
    day = features["instrument_id"].to_numpy()
    order = np.argsort(day)
    rows = order[np.searchsorted(day, ids, sorter=order).clip(max=len(day) - 1)]
    known = day[rows] == ids
    stocks = np.full((STOCKS, len(STOCK_COLUMNS)), np.nan, dtype=np.float32)
    stocks[: len(ids), 0] = [score for _, score in chosen][:STOCKS]
    stocks[: len(ids), 1] = places(np.arange(len(ids)), len(ids))
    for column, name in enumerate(STOCK_FEATURES, start=len(SCORE_COLUMNS)):
        stocks[: len(ids), column] = np.where(known, features[name].to_numpy()[rows], np.nan)
    mask = np.zeros(STOCKS, dtype=np.bool_)
    mask[: len(ids)] = known & features["close"].is_not_null().to_numpy()[rows]
    context = [_first_known(features[name].to_numpy()) for name in MARKET_FEATURES]
    context += [probabilities[name] for name in LABELS]
    return Candidates(
        instrument_ids=tuple(ids),
        stocks=stocks,
        mask=mask,
        context=np.array(context, dtype=np.float32),
        prices=prices,
    )


def _first_known(values: npt.NDArray[np.floating]) -> float:
    """The market's columns are the same for all stocks of a day; NaN where no stock has any."""
    return float(values[0] if np.isfinite(values[0]) else values[np.isfinite(values).argmax()])


@dataclass(frozen=True)
class Portfolio:
    """Weights that a strategy holds now: those of its last night, drifted with the prices since."""

    weights: Mapping[int, float]
    cash_weight: float
    since: date | None

    @classmethod
    def drifted(cls, held: Held | None, prices: PastPrices) -> "Portfolio":
        """All cash where there was no last night; what no longer trades counts as cash."""
        if held is None:
            return cls({}, 1.0, None)
        ids = list(held.weights)
        grown = np.array([float(w) for w in held.weights.values()]) * prices.growth(ids, held.session_on)
        total = float(grown.sum()) + float(held.cash_weight)
        kept = prices.traded_last(ids)
        weights = {i: float(w) for i, w, trades in zip(ids, grown / total, kept, strict=True) if trades}
        return cls(weights, 1.0 - sum(weights.values()), held.session_on)


@dataclass(frozen=True)
class Chooser:
    """Who decides for a strategy in a lane, and why that one: a simple allocator, or the learned `policy` of `model`.

    `model` is the fold that decides, or whose validation named the simple allocator; None where none is valid.
    """

    allocator: str
    reason: str
    model: ModelVersion | None
    policy: Policy | None = None

    @classmethod
    def simple(cls, fold: ModelVersion | None, *, as_of: date) -> "Chooser":
        """The simple allocator that did best in the fold's validation; without a fold, the default."""
        if fold is None:
            return cls(
                baselines.DEFAULT, f"no allocator fold is valid on {as_of}: {baselines.DEFAULT} by default", None
            )
        choice = fold.metrics["choice"]
        if choice["allocator"] not in baselines.SIMPLE:
            reason = f"the fold names no simple allocator that is known: {baselines.DEFAULT} by default"
            return cls(baselines.DEFAULT, reason, fold)
        return cls(choice["allocator"], choice["reason"], fold)

    @classmethod
    def learned(cls, model: ModelVersion, policy: Policy, reason: str) -> "Chooser":
        """The policies of `model`."""
        return cls(PPO, reason, model, policy)

    @property
    def model_version_id(self) -> int | None:
        """Of the fold that decides."""
        return self.model.model_version_id if self.model else None


def load_policy(model: ModelVersion) -> Policy:
    """The learned allocator of a fold. ArtefactRefused where it is not what was registered."""
    folder = place(model.artefact_dir)
    return artefact.load(folder, model.artefact_sha256)


@dataclass(frozen=True)
class Decision:
    """Weights by instrument_id (> 0, exact to 1e-8, one in all with cash), who chose them, from which scores, why."""

    allocator: str
    reason: str
    model_version_id: int | None
    score_batch_id: int
    weights: Mapping[int, Weight]
    cash_weight: Decimal
    diagnostics: dict[str, Any]


def hold(
    held: Held | None, now: Portfolio, chooser: Chooser, screener_id: int | None, prices: PastPrices
) -> Decision | None:
    """The last decision as it has drifted, while it is younger than `REBALANCE_SESSIONS` and the same models decide.

    Allocators learn and are judged with one decision a week; deciding every night would trade five times as often.
    `screener_id` is the model version that scored tonight, None for the plain rule.
    """
    if held is None or held.screener_id != screener_id:
        return None
    if held.model_version_id != chooser.model_version_id or held.allocator != chooser.allocator:
        return None
    age = prices.sessions_since(held.decided_on)
    if age >= REBALANCE_SESSIONS:
        return None
    exact, cash = quantise(list(now.weights.values()))
    return Decision(
        allocator=held.allocator,
        reason=f"held, decided on {held.decided_on}, {age} of {REBALANCE_SESSIONS} sessions ago; {chooser.reason}",
        model_version_id=held.model_version_id,
        score_batch_id=held.score_batch_id,
        weights={i: w for i, w in zip(now.weights, exact, strict=True) if w > 0},
        cash_weight=cash,
        diagnostics={
            "decided_on": held.decided_on.isoformat(),
            "turnover": 0.0,
            **_spread(np.array(list(now.weights.values()))),
        },
    )


def decide(batch: int, seen: Candidates, now: Portfolio, chooser: Chooser, *, as_of: date) -> Decision:
    """Ask the policy, or the simple allocator."""
    held = np.zeros(STOCKS)
    held[: len(seen.instrument_ids)] = [now.weights.get(i, 0.0) for i in seen.instrument_ids]
    if chooser.policy is not None:
        outside = max(1.0 - now.cash_weight - float(held.sum()), 0.0)
        account = np.array([[now.cash_weight, outside]])
        weights = chooser.policy.weights(seen.stocks[None], seen.mask[None], seen.context[None], held[None], account)[0]
    else:
        weights = simple_weights(chooser.allocator, seen.returns, seen.mask, STANDARD_LIMITS)
    exact, cash = quantise(weights[:-1])
    return Decision(
        allocator=chooser.allocator,
        reason=chooser.reason,
        model_version_id=chooser.model_version_id,
        score_batch_id=batch,
        weights={i: w for i, w in zip(seen.instrument_ids, exact, strict=False) if w > 0},
        cash_weight=cash,
        diagnostics={"decided_on": as_of.isoformat(), **_explain(seen, weights[:-1], held, now)},
    )


def _explain(seen: Candidates, stocks: Floats, held: Floats, now: Portfolio) -> dict[str, Any]:
    """Why these weights look as they do: how spread out, what they lean to, what changes.

    tilts: for each column, the weighted mean of the stocks' z-scores inside the list, largest first. turnover: what
    would be traded of the value, buys plus sales, from what is held now.
    """
    # What is held outside the list is sold whole.
    outside = max(1.0 - now.cash_weight - float(held.sum()), 0.0)
    return {
        "turnover": round(float(np.abs(stocks - held).sum()) + outside, _DIGITS),
        "held_since": now.since.isoformat() if now.since else None,
        "tilts": _tilts(seen, stocks),
        **_spread(stocks),
    }


def _spread(stocks: Floats) -> dict[str, Any]:
    invested = float(stocks.sum())
    shares = stocks[stocks > 0] / invested if invested > 0 else np.zeros(0)
    return {
        "positions": len(shares),
        "effective_positions": round(float(1.0 / (shares**2).sum()), _DIGITS) if len(shares) else 0.0,
        "entropy": round(float(-(shares * np.log(shares)).sum()), _DIGITS),
        "weight_max": round(float(stocks.max(initial=0.0)), _DIGITS),
    }


def _tilts(seen: Candidates, stocks: Floats) -> list[dict[str, Any]]:
    invested = float(stocks.sum())
    if invested <= 0:
        return []
    values = seen.stocks[seen.mask].astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    away = np.where(known, values - mean, 0.0)
    spread = np.sqrt((away**2).sum(axis=0) / count)
    leaning = (stocks[seen.mask] / invested) @ (away / np.where(spread > 0, spread, 1.0))
    order = np.argsort(-np.abs(leaning), kind="stable")[:_TILTS_SHOWN]
    return [{"column": STOCK_COLUMNS[k], "tilt": round(float(leaning[k]), _DIGITS)} for k in order]
