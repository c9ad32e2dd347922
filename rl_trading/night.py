"""One strategy's decision of one night: what is seen, who decides, what comes out and why. No SQL, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from core.config import get_settings
from core.money import Weight
from database.queries.allocations import Held
from database.tables.models import ModelVersion
from database.tables.regimes import LABELS
from rl_trading import artefact, baselines
from rl_trading.baselines import past_returns, simple_weights
from rl_trading.dataset import stock_columns
from rl_trading.evaluate import PPO
from rl_trading.observation import MARKET_FEATURES, STOCK_COLUMNS, STOCK_FEATURES
from rl_trading.prices import PastPrices
from rl_trading.weights import STANDARD_LIMITS, quantise
from rl_trading.windows import STOCKS

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
_TILTS_SHOWN = 5
_DIGITS = 6


@dataclass(frozen=True)
class Candidates:
    """The list of one strategy as the allocator sees it: raw observations, and past returns of each slot."""

    instrument_ids: tuple[int, ...]
    stocks: Floats32  # (n, c)
    mask: npt.NDArray[np.bool_]  # (n)
    context: Floats32  # (m)
    returns: Floats  # (sessions, n)


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
    listed = pl.DataFrame(
        {"instrument_id": ids, "score": [score for _, score in chosen][:STOCKS], "slot": np.arange(len(ids))},
        schema_overrides={"instrument_id": pl.Int32},
    )
    rows = features.select(
        pl.col("instrument_id").cast(pl.Int32), "session_on", "close", *STOCK_FEATURES, *MARKET_FEATURES
    )
    table = listed.join(rows, on="instrument_id", how="left", maintain_order="left")
    stocks = np.full((STOCKS, len(STOCK_COLUMNS)), np.nan, dtype=np.float32)
    stocks[: len(ids)] = stock_columns(table.with_columns(pl.lit(1).alias("session_on")))
    mask = np.zeros(STOCKS, dtype=np.bool_)
    mask[: len(ids)] = table["close"].is_not_null().to_numpy()
    # The market's columns are the same for all stocks of a day.
    market = features.select(pl.col(name).drop_nans().first() for name in MARKET_FEATURES).row(0)
    context = [np.nan if value is None else value for value in market] + [probabilities[name] for name in LABELS]
    slots = np.full(STOCKS, -1, dtype=np.int64)
    slots[: len(ids)] = prices.slots(ids)
    return Candidates(
        instrument_ids=tuple(ids),
        stocks=stocks,
        mask=mask,
        context=np.array(context, dtype=np.float32),
        returns=past_returns(prices.closes, len(prices.closes) - 1, slots),
    )


@dataclass(frozen=True)
class Portfolio:
    """Weights that a strategy holds now: those of its last night, drifted with the prices since."""

    weights: Mapping[int, float]
    cash_weight: float
    since: date | None

    @classmethod
    def drifted(cls, held: Held | None, prices: PastPrices) -> "Portfolio":
        """All cash where there was no last night."""
        if held is None:
            return cls({}, 1.0, None)
        ids = list(held.weights)
        grown = np.array([float(w) for w in held.weights.values()]) * prices.growth(ids, held.session_on)
        total = float(grown.sum()) + float(held.cash_weight)
        weights = dict(zip(ids, (grown / total).tolist(), strict=True))
        return cls(weights, float(held.cash_weight) / total, held.session_on)


@dataclass(frozen=True)
class Decision:
    """Weights by instrument_id (> 0, exact to 1e-8, summing to one with cash), who chose them and why."""

    allocator: str
    reason: str
    model_version_id: int | None
    weights: Mapping[int, Weight]
    cash_weight: Decimal
    diagnostics: dict[str, Any]


def decide(seen: Candidates, now: Portfolio, model: ModelVersion | None, *, as_of: date) -> Decision:
    """Ask the policy if `model`, the fold valid on `as_of`, chose it; else the simple allocator it chose."""
    held = np.zeros(STOCKS)
    held[: len(seen.instrument_ids)] = [now.weights.get(i, 0.0) for i in seen.instrument_ids]
    if model is None:
        name, seed = baselines.DEFAULT, None
        reason = f"no allocator fold is valid on {as_of}: {name} by default"
    else:
        choice = model.metrics["choice"]
        name, seed, reason = choice["allocator"], choice["seed"], choice["reason"]
    if model is not None and name == PPO:
        policy = artefact.load(get_settings().models_dir / model.artefact_dir, model.artefact_sha256, seed)
        outside = max(1.0 - now.cash_weight - float(held.sum()), 0.0)
        account = np.array([[now.cash_weight, outside]])
        weights = policy.weights(seen.stocks[None], seen.mask[None], seen.context[None], held[None], account)[0]
    else:
        weights = simple_weights(name, seen.returns, seen.mask, STANDARD_LIMITS)
    exact, cash = quantise(weights[:-1])
    return Decision(
        allocator=name,
        reason=reason,
        model_version_id=model.model_version_id if model else None,
        weights={i: w for i, w in zip(seen.instrument_ids, exact, strict=False) if w > 0},
        cash_weight=cash,
        diagnostics=_explain(seen, weights, held, now, seed),
    )


def _explain(seen: Candidates, weights: Floats, held: Floats, now: Portfolio, seed: int | None) -> dict[str, Any]:
    """Why these weights look as they do: how spread out, what they lean to, what changes.

    tilts: for each column, the weighted mean of the stocks' z-scores inside the list, largest first. turnover: what
    would be traded of the value, buys plus sales, from what is held now.
    """
    stocks = weights[:-1]
    invested = float(stocks.sum())
    shares = stocks[stocks > 0] / invested if invested > 0 else np.zeros(0)
    # What is held outside the list is sold whole.
    listed = float(held.sum())
    turnover = float(np.abs(stocks - held).sum()) + max(1.0 - now.cash_weight - listed, 0.0)
    return {
        "positions": int((stocks > 0).sum()),
        "effective_positions": round(float(1.0 / (shares**2).sum()), _DIGITS) if len(shares) else 0.0,
        "entropy": round(float(-(shares * np.log(shares)).sum()), _DIGITS),
        "weight_max": round(float(stocks.max(initial=0.0)), _DIGITS),
        "turnover": round(turnover, _DIGITS),
        "held_since": now.since.isoformat() if now.since else None,
        "seed": seed,
        "tilts": _tilts(seen, stocks),
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
