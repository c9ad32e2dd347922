"""The leak probes that need nothing but the code: the real decision path on a made-up market."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ml_models.dataset import Rows
from ml_models.lessons import gather_lessons
from mlops.leaks.fills import FOLLOWERS
from mlops.leaks.market import FOLD_YEAR, TABLES, MadeMarket, make_market
from mlops.leaks.path import STAGES, TRAINED, DecisionPath, Fitted, scaled_state, trained_state
from quant.guards import (
    Checked,
    Follow,
    Frames,
    Probe,
    probe_fills,
    probe_images,
    probe_poison,
    probe_prefixes,
    probe_rescaled,
    probe_shared_rows,
    probe_spans,
    probe_universe,
    quietly,
    telling_cuts,
)

# Decisions up to here teach the scales that are looked at.
LESSONS_TO_ON = date(FOLD_YEAR, 6, 30)


@dataclass(frozen=True)
class Walk:
    """A path, the cuts at which it is walked again, and what it gives on all data."""

    path: Callable[[Frames], Frames]
    cuts: list[date]
    whole: Frames

    @classmethod
    def of(cls, path: Callable[[Frames], Frames], cuts: list[date], frames: Frames) -> "Walk":
        """Walk the path once."""
        return cls(path, cuts, quietly(path, frames))


@dataclass(frozen=True)
class Subject:
    """What is probed: a path, the market it is tried on, who trades its decisions, and how closely to look.

    `cuts_each`: cuts of time for every kind of event; `cuts_deep`: at how many the path is walked to its end.
    """

    path: DecisionPath = field(default_factory=DecisionPath)
    market: MadeMarket = field(default_factory=make_market)
    followers: Mapping[str, Follow] = field(default_factory=lambda: FOLLOWERS)
    cuts_each: int = 2
    cuts_deep: int = 4

    @property
    def frames(self) -> Frames:
        """The market's tables."""
        return self.market.frames

    @cached_property
    def cuts(self) -> list[date]:
        """Where time is cut, over all years."""
        return telling_cuts(self.market.sessions, self.market.events, each=self.cuts_each)

    @cached_property
    def deep_cuts(self) -> list[date]:
        """Where time is cut inside the year of the decisions, for what takes longer."""
        inside = [day for day in self.market.sessions if day.year == FOLD_YEAR]
        events = {name: [day for day in days if day.year == FOLD_YEAR] for name, days in self.market.events.items()}
        cuts = telling_cuts(inside, events, each=self.cuts_each)
        # Away from the ends: there decisions and their consequences are few.
        return [cuts[place] for place in np.linspace(0, len(cuts) - 1, self.cuts_deep + 2)[1:-1].astype(int)]

    @cached_property
    def fitted(self) -> Fitted:
        """What the path learns from the whole market."""
        outputs = self.until("scores").decide(self.frames)
        return Fitted(
            self.path.train(self.frames, outputs["features"]),
            self.path.fit_scales(self.frames, outputs, last_on=LESSONS_TO_ON),
        )

    def until(self, stage: str) -> DecisionPath:
        """The path up to a stage, or as far as it goes."""
        return replace(self.path, until=min(stage, self.path.until, key=STAGES.index))

    @cached_property
    def walks(self) -> list["Walk"]:
        """The early stages at many cuts, and the whole path, with what it has learned, at some."""
        walks = [Walk.of(self.until("regimes").decide, self.cuts, self.frames)]
        if STAGES.index(self.path.until) > STAGES.index("regimes"):
            fitted = self.fitted
            walks.append(Walk.of(lambda frames: self.path.decide(frames, fitted), self.deep_cuts, self.frames))
        return walks

    def learned(self, frames: Frames) -> Frames:
        """All that is learned: the screener, what it says in its year, and the allocator's scales."""
        outputs = self.until("scores").decide(frames)
        trained = self.path.train(frames, outputs["features"])
        said = trained.judged.said()
        scales = self.path.fit_scales(frames, outputs, last_on=LESSONS_TO_ON)
        return {
            "screener": trained_state(trained),
            "out_of_fold": pl.DataFrame(
                {
                    "session_on": said.session_on,
                    "instrument_id": said.instrument_ids,
                    "score": said.scores,
                    "plain": said.plain,
                }
            ).with_columns(pl.col("session_on").cast(pl.Date)),
            "scales": scaled_state(scales, LESSONS_TO_ON),
        }

    def lessons(self) -> dict[str, Rows]:
        """The rows that the screener of the whole market trains on, validates on and is tested on."""
        rows = self.path.dataset(self.frames, self.path.compute_features(self.frames))
        fold = self.fitted.screener.fold
        return {
            "training": gather_lessons(TRAINED, rows, fold.train),
            "validation": gather_lessons(TRAINED, rows, fold.validation),
            "test": rows.year(FOLD_YEAR),
        }


def _together(parts: Sequence[Checked]) -> Checked:
    return Checked(
        looked_at="; ".join(part.looked_at for part in parts),
        findings=tuple(finding for part in parts for finding in part.findings),
        blind=next((part.blind for part in parts if part.blind), None),
    )


def _prefixes(subject: Subject) -> Checked:
    return _together([probe_prefixes(w.path, subject.frames, TABLES, w.cuts, whole=w.whole) for w in subject.walks])


def _poison(subject: Subject) -> Checked:
    return _together([probe_poison(w.path, subject.frames, TABLES, w.cuts, whole=w.whole) for w in subject.walks])


def _fits(subject: Subject) -> Checked:
    """Cut off at the end of the scales' lessons, and spoiled from the end of the screener's on."""
    whole = quietly(subject.learned, subject.frames)
    trained_to_on = max(day for day in subject.market.sessions if day.year < FOLD_YEAR)

    def screener(frames: Frames) -> Frames:
        return {"screener": subject.learned(frames)["screener"]}

    return _together(
        [
            probe_prefixes(subject.learned, subject.frames, TABLES, [LESSONS_TO_ON], whole=whole),
            _poisoned_after(screener, subject.frames, trained_to_on, {"screener": whole["screener"]}),
        ]
    )


def _poisoned_after(path: Callable[[Frames], Frames], frames: Frames, last_on: date, whole: Frames) -> Checked:
    """What was learned by `last_on` has no later rows that garbage could move, so nothing tells whether it works."""
    checked = probe_poison(path, frames, TABLES, [last_on], kinds=("shuffled",), whole=whole)
    return replace(checked, blind=None)


def _labels(subject: Subject) -> Checked:
    fold, horizon = subject.fitted.screener.fold, TRAINED.label_sessions
    lessons = subject.lessons()

    def spans(name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        first = np.unique(lessons[name].session_of_row)
        return first, first + horizon

    test = np.arange(fold.test.start, fold.test.stop)
    findings = [
        *probe_spans(spans("training"), spans("validation"), embargo_sessions=horizon, what="training rows"),
        *probe_spans(spans("training"), (test, test), embargo_sessions=horizon, what="training rows"),
        *probe_spans(spans("validation"), (test, test), embargo_sessions=0, what="validation rows"),
    ]
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in lessons.items())
    return Checked(f"{counts} rows, labels of {horizon} sessions", tuple(findings))


def _shared_rows(subject: Subject) -> Checked:
    lessons = subject.lessons()
    training = lessons.pop("training").X
    findings = [
        finding
        for name, rows in lessons.items()
        for finding in probe_shared_rows(training, rows.X, what=f"{name} rows")
    ]
    return Checked(f"{len(training)} training rows against {', '.join(lessons)}", tuple(findings))


def _images(subject: Subject) -> Checked:
    rows = subject.path.dataset(subject.frames, subject.path.compute_features(subject.frames))
    years = [rows.year(year) for year in range(subject.market.sessions[0].year, FOLD_YEAR + 1)]
    findings, days = probe_images(
        np.concatenate([year.X for year in years]),
        rows.features,
        np.concatenate([year.forward for year in years]),
        np.concatenate([year.session_of_row for year in years]),
    )
    looked_at = f"{len(rows.features)} features against the label on {days} days"
    return Checked(looked_at, tuple(findings), None if days else "no day has labels")


def _fills(subject: Subject) -> Checked:
    return _together([probe_fills(follow, what=name) for name, follow in subject.followers.items()])


def _universe(subject: Subject) -> Checked:
    features = subject.until("features").decide(subject.frames)["features"]
    universe = features.filter("in_universe").select("session_on", "instrument_id")
    return probe_universe(universe, subject.frames["memberships"], subject.frames["bars"])


def _filings(subject: Subject) -> Checked:
    cuts = telling_cuts(subject.market.sessions, {"reports": subject.market.events["reports"]}, each=4)
    return probe_poison(
        subject.until("features").decide, subject.frames, TABLES, cuts, kinds=("tenfold",), only=("facts", "shares")
    )


def _publications(subject: Subject) -> Checked:
    path, cuts = subject.until("regimes").decide, subject.market.sessions[300::150]
    return probe_poison(path, subject.frames, TABLES, cuts, kinds=("tenfold",), only=("macro",))


def _levels(subject: Subject) -> Checked:
    """Powers of two, so that honest ratios keep their bits."""

    def path(frames: Frames) -> Frames:
        # The price of the day is stored beside the features, for people; it is on the newest split basis by design.
        outputs = subject.until("scores").decide(frames)
        return {name: frame.drop("close", strict=False) for name, frame in outputs.items()}

    ids = subject.frames["instruments"]["instrument_id"].to_list()
    split, paid = ids[::3], ids[1::3]
    whole = quietly(path, subject.frames)
    findings = [
        *probe_rescaled(
            whole, quietly(path, _split_later(subject.frames, split)), how="every third stock splits later"
        ),
        *probe_rescaled(whole, quietly(path, _paid_later(subject.frames, paid)), how="others pay out half later"),
    ]
    return Checked(
        f"{len(split)} stocks split and {len(paid)} pay out half their worth after all sessions", tuple(findings)
    )


def _split_later(frames: Frames, ids: Sequence[int]) -> Frames:
    """The same history on the basis of a two-for-one split that is still to come."""
    basis = {
        "bars": {"open": 0.5, "high": 0.5, "low": 0.5, "close": 0.5, "adj_close": 0.5, "volume": 2.0},
        "dividends": {"amount_usd": 0.5},
        "shares": {"shares_outstanding": 2.0},
    }
    return {**frames, **{table: _scaled(frames[table], factors, ids) for table, factors in basis.items()}}


def _paid_later(frames: Frames, ids: Sequence[int]) -> Frames:
    """The same history with adjusted closes that hold a dividend still to come."""
    return {**frames, "bars": _scaled(frames["bars"], {"adj_close": 0.5}, ids)}


def _scaled(frame: pl.DataFrame, factors: Mapping[str, float], ids: Sequence[int]) -> pl.DataFrame:
    concerned = pl.col("instrument_id").is_in(ids)
    return frame.with_columns(
        pl.when(concerned).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name, factor in factors.items()
    )


PROBES: tuple[Probe[Subject], ...] = (
    Probe(
        "prefix-invariance",
        "Features, regimes, scores, observations and weights up to a day are the same whether later data exist or not.",
        _prefixes,
    ),
    Probe(
        "future-poisoning",
        "Garbage in everything known later moves none of them, so nothing looks at the future even for its sign.",
        _poison,
    ),
    Probe(
        "fitted-on-the-past",
        "Trees, bins, stopping round and scales depend on nothing that became known after the training's end.",
        _fits,
    ),
    Probe(
        "label-overlap",
        "No label of a training row comes nearer than the embargo to validation or test, none of validation to test.",
        _labels,
    ),
    Probe("shared-rows", "No row that was trained on is validated or tested on.", _shared_rows),
    Probe("label-among-features", "No feature is the label, or an image of it.", _images),
    Probe(
        "same-bar-fills",
        "What a decision earns begins with the bar after it: in the back-test, the allocator's game and its reward.",
        _fills,
    ),
    Probe(
        "survivorship",
        "The universe of a session is who belonged to it then, those that vanished later included.",
        _universe,
    ),
    Probe("unfiled-fundamentals", "Reports and share counts matter from the day they became known.", _filings),
    Probe("unpublished-macro", "Yields and indices matter from the day they were published.", _publications),
    Probe("adjusted-levels", "Splits and dividends still to come move no feature, regime or score.", _levels),
)
