"""The decision path from tables to weights, put together from the very parts that training and the night use.

Each part is a field, so that a test can plant a leak where one would hide: replace a part, and a probe must find it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import polars as pl

from database.tables.regimes import LABELS
from features.feature import Feature
from features.library import FEATURES
from features.matrix import compute_matrix
from features.panel import Panel, assemble
from features.store import frame_of
from ml_models.configuration import Configuration, standard
from ml_models.dataset import Dataset
from ml_models.eligibility import filter_inputs, judge_day
from ml_models.labels import price_panel
from ml_models.recipes import RECIPES
from ml_models.rule import rank_by_rule
from ml_models.training import FoldPlan, TrainedFold, train_fold
from mlops.leaks.market import FOLD_YEAR
from quant.backtest import run_backtest
from quant.guards import Frames
from quant.market import lay_out_market
from quant.regime import Detector
from quant.regime_inputs import compute_inputs
from quant.regimes import DETECTORS
from rl_trading.baselines import SIMPLE, simple_weights
from rl_trading.night import Candidates, lay_out
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Scales
from rl_trading.prices import PastPrices
from rl_trading.weights import Limits
from rl_trading.windows import REBALANCE_SESSIONS, Decisions, Market, record, tradable

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
STAGES = ("features", "regimes", "scores", "weights")
# One strategy stands for all: they differ in their recipes, which are data. Few trees show a leak as well as many.
TRAINED = RECIPES["momentum_largecap"]
_FEWER = {"rounds_max": 30, "leaf_rows_min": 20}
# Wide, so that weights may differ where there are a dozen stocks.
_LIMITS = Limits(position_weight_max=0.5)


@dataclass(frozen=True)
class Fitted:
    """What was learned before the decisions that are looked at."""

    screener: TrainedFold
    scales: Scales


@dataclass(frozen=True)
class DecisionPath:
    """From tables to weights. `until` names the last of STAGES that is worked out.

    `learn` trains the screener of FOLD_YEAR by `algorithm` (the ensemble trains all of them), `scale` fits the
    allocator's scales to rows of decisions, `weigh` is a simple allocator; the others are named after the functions
    that they stand for.
    """

    assemble: Callable[..., Panel] = assemble
    features: Mapping[str, Feature] = field(default_factory=lambda: FEATURES)
    compute_inputs: Callable[..., pl.DataFrame] = compute_inputs
    detectors: Mapping[str, Detector] = field(default_factory=lambda: DETECTORS)
    learn: Callable[[FoldPlan, Dataset, Sequence[Feature]], TrainedFold] = train_fold
    scale: Callable[[Floats32, Flags, Floats32], Scales] = Scales.fit
    weigh: Callable[..., Floats] = simple_weights
    algorithm: str = "ensemble"
    until: str = STAGES[-1]

    def decide(self, frames: Frames, fitted: Fitted | None = None) -> Frames:
        """Every stage's output, keyed by session_on and, where it speaks of stocks, instrument_id.

        Without `fitted` the scores are the plain rules' alone, and weights follow them.
        """
        outputs = {"features": self.compute_features(frames)}
        if self.until == "features":
            return outputs
        outputs |= self.read_regimes(frames)
        if self.until == "regimes":
            return outputs
        outputs["scores"] = self.score(outputs["features"], fitted)
        if self.until == "scores":
            return outputs
        return outputs | self.allocate(frames, outputs, fitted)

    def compute_features(self, frames: Frames) -> pl.DataFrame:
        """The rows of the feature store, of all sessions."""
        named = ("bars", "instruments", "memberships", "dividends", "facts", "shares", "macro")
        panel = self.assemble(**{name: frames[name] for name in named})
        return frame_of(compute_matrix(panel, self.features), panel)

    def read_regimes(self, frames: Frames) -> dict[str, pl.DataFrame]:
        """The market's inputs, and what each detector reads from them."""
        named = ("bars", "memberships", "instruments", "macro")
        inputs = self.compute_inputs(**{name: frames[name] for name in named})
        readings = {f"regime_{name}": detector.detect(inputs) for name, detector in self.detectors.items()}
        return {"regime_inputs": inputs, **readings}

    def dataset(self, frames: Frames, features: pl.DataFrame) -> Dataset:
        """What screeners learn from, weekly."""
        return Dataset(
            panel=price_panel(frames["bars"]),
            features=tuple(self.features),
            read_year=lambda year: features.filter(
                "in_universe", pl.col("session_on").is_between(date(year, 1, 1), date(year, 12, 31))
            ),
            every_sessions=configuration(self.algorithm).every_sessions,
            label_sessions=TRAINED.label_sessions,
            years_kept=FOLD_YEAR,
        )

    def train(self, frames: Frames, features: pl.DataFrame) -> TrainedFold:
        """The screener of FOLD_YEAR, and what it says about that year."""
        rows = self.dataset(frames, features)
        return self.learn(plan(self.algorithm), rows, tuple(self.features.values()))

    def score(self, features: pl.DataFrame, fitted: Fitted | None) -> pl.DataFrame:
        """The universe of each decision's session: every plain rule's margin and who is eligible, then the model's."""
        days = [
            self._score_day(day, fitted)
            for _, day in features.filter("in_universe", pl.col("session_on").is_in(decision_days(features))).group_by(
                "session_on", maintain_order=True
            )
        ]
        return pl.concat(days) if days else features.select("session_on", "instrument_id").clear()

    def _score_day(self, day: pl.DataFrame, fitted: Fitted | None) -> pl.DataFrame:
        X = np.ascontiguousarray(day.select(pl.col(tuple(self.features))).to_numpy(), dtype=np.float32)
        columns = dict(zip(self.features, X.T, strict=True))
        said: dict[str, npt.NDArray[np.generic]] = {}
        for name, recipe in RECIPES.items():
            judged = judge_day(recipe, {feature: columns[feature] for feature in filter_inputs(recipe)})
            said[f"{name}_eligible"] = judged.mask
            said[f"{name}_rule"] = rank_by_rule(recipe, X, tuple(self.features.values()))
        if fitted is not None:
            said[f"{TRAINED.strategy}_model"] = fitted.screener.model.margins(X)
        return day.select("session_on", "instrument_id").with_columns(
            pl.Series(name, values) for name, values in said.items()
        )

    def allocate(self, frames: Frames, outputs: Frames, fitted: Fitted | None) -> dict[str, pl.DataFrame]:
        """What the allocator sees of each decision, raw and scaled, and what the simple allocators make of it."""
        seen = self.candidates(frames, outputs)
        observed = pl.concat([_observed(day, one) for day, one in seen.items()])
        weights = pl.concat([self._weights(day, one) for day, one in seen.items()])
        ledger = self.follow(frames, weights)
        if fitted is None:
            return {"observations": observed, "weights": weights, "ledger": ledger}
        tape = _tape(market_of(frames), seen, fitted.scales)
        return {"observations": observed, "tape": tape, "weights": weights, "ledger": ledger}

    def follow(self, frames: Frames, weights: pl.DataFrame) -> pl.DataFrame:
        """What each simple allocator's weights are worth at every close, on the one simulator."""
        market = lay_out_market(frames["bars"], frames["dividends"])
        days = weights["session_on"].unique().sort()
        decided = np.searchsorted(market.sessions, days.to_numpy().astype("datetime64[D]"))
        row = np.searchsorted(days.to_numpy(), weights["session_on"].to_numpy())
        column = np.searchsorted(market.instrument_ids, weights["instrument_id"].to_numpy())
        worth = {}
        for name in SIMPLE:
            wanted = np.zeros((len(days), len(market.instrument_ids)))
            wanted[row, column] = weights[name].to_numpy()
            worth[name] = run_backtest(market.prices, decided=decided, weights=wanted).values_usd
        sessions = pl.DataFrame({"session_on": market.sessions}).with_columns(pl.col("session_on").cast(pl.Date))
        return sessions.with_columns(pl.Series(name, values) for name, values in worth.items())

    def candidates(self, frames: Frames, outputs: Frames) -> dict[date, Candidates]:
        """By session, the list of the trained strategy as the allocator meets it at night."""
        market = market_of(frames)
        prices = PastPrices(market.sessions, market.instrument_ids, market.adj_close)
        regime = outputs[f"regime_{list(self.detectors)[-1]}"]
        probabilities = {row["session_on"]: {name: row[name] for name in LABELS} for row in regime.to_dicts()}
        scores = outputs["scores"]
        column = next(name for name in reversed(scores.columns) if name.startswith(TRAINED.strategy))
        seen = {}
        for (day,), rows in scores.group_by("session_on", maintain_order=True):
            if day not in probabilities:
                continue
            best = rows.filter(f"{TRAINED.strategy}_eligible").sort(
                column, "instrument_id", descending=[True, False], nulls_last=True
            )
            chosen = list(best.select("instrument_id", column).iter_rows())
            features = outputs["features"].filter(pl.col("session_on") == day)
            if chosen:
                seen[day] = lay_out(chosen, features, probabilities[day], prices.until(day))
        return seen

    def _weights(self, day: date, seen: Candidates) -> pl.DataFrame:
        ids = np.array(seen.instrument_ids)
        solved = {name: self.weigh(name, seen.returns, seen.mask, _LIMITS) for name in SIMPLE}
        return pl.DataFrame({"session_on": [day] * len(ids), "instrument_id": ids}).with_columns(
            pl.Series(name, weights[: len(ids)]) for name, weights in solved.items()
        )

    def fit_scales(self, frames: Frames, outputs: Frames, *, last_on: date) -> Scales:
        """Scales of the decisions up to `last_on`."""
        market, seen = market_of(frames), self.candidates(frames, outputs)
        lessons = decisions_of(market, seen).between(market, date.min, last_on)
        return self.scale(lessons.stocks, tradable(market, lessons), lessons.context)


def configuration(algorithm: str) -> Configuration:
    """How the screener of FOLD_YEAR is learned."""
    usual = standard(TRAINED, algorithm=algorithm)
    fewer = {name: _FEWER.get(name.rpartition(".")[2], value) for name, value in usual.parameters.items()}
    return replace(usual, parameters=fewer)


def plan(algorithm: str) -> FoldPlan:
    """The fold of FOLD_YEAR."""
    return FoldPlan(configuration(algorithm), date(FOLD_YEAR, 1, 1), date(FOLD_YEAR + 1, 1, 1), "", "", {}, "")


def decision_days(features: pl.DataFrame) -> list[date]:
    """Every REBALANCE_SESSIONS-th session of FOLD_YEAR, counted from its first."""
    sessions = features["session_on"].unique().sort()
    return sessions.filter(sessions.dt.year() == FOLD_YEAR).gather_every(REBALANCE_SESSIONS).to_list()


def market_of(frames: Frames) -> Market:
    """The market as the allocator's environment trades it."""
    return Market.from_frames(frames["bars"], frames["dividends"])


def decisions_of(market: Market, seen: Mapping[date, Candidates]) -> Decisions:
    """The candidates of many nights, laid out as one strategy's decisions."""
    slots = np.full((len(seen), len(next(iter(seen.values())).mask)), -1, dtype=np.int64)
    for row, one in enumerate(seen.values()):
        slots[row, : len(one.instrument_ids)] = np.searchsorted(market.instrument_ids, one.instrument_ids)
    return Decisions(
        strategy=TRAINED.strategy,
        session_index=np.array([market.index_of(day) for day in seen], dtype=np.int64),
        slots=slots,
        stocks=np.stack([one.stocks for one in seen.values()]),
        context=np.stack([one.context for one in seen.values()]),
    )


def _observed(day: date, seen: Candidates) -> pl.DataFrame:
    count = len(seen.instrument_ids)
    return pl.DataFrame({"session_on": [day] * count, "instrument_id": seen.instrument_ids}).with_columns(
        *(pl.Series(name, seen.stocks[:count, place]) for place, name in enumerate(STOCK_COLUMNS)),
        *(pl.lit(float(seen.context[place])).alias(name) for place, name in enumerate(CONTEXT_COLUMNS)),
    )


def _tape(market: Market, seen: Mapping[date, Candidates], scales: Scales) -> pl.DataFrame:
    """The part of the environment's tape that is known at the decision, the scaled observation as one digest."""
    decisions = decisions_of(market, seen)
    tape = record(market, [decisions], scales).tape
    known = {"mask": tape.mask, "volume": tape.volume, "close": tape.close}
    return pl.DataFrame({"session_on": list(seen)}).with_columns(
        pl.Series("observation", [sha256(row.tobytes()).hexdigest() for row in tape.static]),
        *(pl.Series(name, values.astype(np.float64).tolist()) for name, values in known.items()),
    )


def trained_state(trained: TrainedFold) -> pl.DataFrame:
    """All that a screener learned, as of the evening before the year that it serves."""
    learned = {
        **{name: sha256(content).hexdigest() for name, content in trained.model.to_files().items()},
        "rounds": str(trained.manifest.rounds),
        "train_rows": str(trained.manifest.train_rows),
        "validation_auc": repr(trained.manifest.validation_auc),
        "last_label_on": trained.manifest.last_label_on,
    }
    return _state(date(FOLD_YEAR - 1, 12, 31), learned)


def scaled_state(scales: Scales, last_on: date) -> pl.DataFrame:
    """The scales of an allocator that learned up to `last_on`."""
    return _state(last_on, {name: repr(values) for name, values in scales.to_json().items()})


def _state(day: date, learned: Mapping[str, str]) -> pl.DataFrame:
    names = list(learned)
    return pl.DataFrame({"session_on": [day] * len(names), "name": names, "value": [learned[name] for name in names]})
