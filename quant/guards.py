"""Look-ahead and leakage probes: what each looks for, on frames and functions that are handed in.

A decision path is a function from input tables to output tables. Each input row is dated by when it became known,
each output row by the session on whose evening it is used. Two experiments need to know nothing else: cut off what
became known after t, or overwrite it with garbage, and every output up to t must keep its bits. The first finds code
that reads the future, the second also code that only looks whether there is one. The other probes ask what those two
cannot see: whether labels reach into the test, fills happen before their decision, the universe was picked with
hindsight, price levels carry later splits, or a feature is the answer itself.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from quant.splits import purge

Frames = Mapping[str, pl.DataFrame]
DecisionPath = Callable[[Frames], Frames]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Subject = TypeVar("Subject")
Status = Literal["clean", "found", "not_run"]

# What names an output row; all other columns are values.
KEYS = ("session_on", "instrument_id", "name")
POISONS = ("unknown", "tenfold", "sign_flipped", "shuffled")
# A daily rank correlation with the label that no honest feature has over months.
IMAGE_CORRELATION = 0.5
_DAYS_COMPARED_MIN, _DAYS_COMPARED = 20, 100
_STOCKS_COMPARED_MIN = 5
# Of what a jump of prices may earn by rounding to whole shares.
_GAIN_TOLERANCE = 0.01
_BARS = 7


@dataclass(frozen=True)
class Dated:
    """How one input table is dated. `known_on`: column with the day from which a row may be used. `ends_on`: column
    whose date is itself unknown before that day. `values`: numbers that a later row could spoil."""

    known_on: str
    values: tuple[str, ...] = ()
    ends_on: str | None = None


@dataclass(frozen=True)
class Finding:
    """One leak: where it shows, in a sentence, with the figures that show it."""

    where: str
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """What a probe did: how much it looked at, in words, and what it found. `blind` says why it proves nothing."""

    looked_at: str
    findings: tuple[Finding, ...]
    blind: str | None = None

    @property
    def status(self) -> Status:
        """A probe that was blind and found nothing has not run."""
        return "found" if self.findings else "not_run" if self.blind else "clean"


@dataclass(frozen=True)
class Probe(Generic[Subject]):
    """One kind of leak. `proves`: what a clean result means, a sentence. `run(subject)` looks for it.

    A required probe needs nothing but the code; the others look at stored rows and may find none.
    """

    name: str
    proves: str
    run: Callable[[Subject], Checked]
    is_required: bool = True


def cut_off(frames: Frames, tables: Mapping[str, Dated], last_on: date) -> dict[str, pl.DataFrame]:
    """The tables as they could be read on the evening of `last_on`."""
    cut = {}
    for name, frame in frames.items():
        dated = tables[name]
        known = frame.filter(pl.col(dated.known_on) <= last_on)
        cut[name] = known if dated.ends_on is None else known.with_columns(_ended(dated.ends_on, last_on))
    return cut


def _ended(column: str, last_on: date) -> pl.Expr:
    return pl.when(pl.col(column) <= last_on).then(pl.col(column)).alias(column)


def poison(
    frames: Frames, tables: Mapping[str, Dated], last_on: date, kind: str, *, only: Iterable[str] | None = None
) -> dict[str, pl.DataFrame]:
    """The tables with all that became known after `last_on` overwritten; `kind` is one of POISONS.

    Numbers become unknown, tenfold, turn their sign or change places; what ends later ends at once, and begins again.
    `only` names the tables to spoil, all by default.
    """
    spoiled = dict(frames)
    for name in frames if only is None else only:
        dated, frame = tables[name], frames[name]
        if dated.ends_on is not None:
            spoiled[name] = _interrupted(frame, dated.known_on, dated.ends_on, last_on)
        elif dated.values:
            spoiled[name] = _overwritten(frame, dated, last_on, kind)
    return spoiled


def _interrupted(frame: pl.DataFrame, known_on: str, ends_on: str, last_on: date) -> pl.DataFrame:
    leave_on = last_on + timedelta(days=2)
    past = frame.filter(pl.col(known_on) <= last_on).with_columns(
        pl.when(pl.col(ends_on) <= last_on).then(pl.col(ends_on)).otherwise(leave_on).alias(ends_on)
    )
    again = past.with_columns(pl.lit(leave_on).alias(known_on), pl.lit(None, dtype=pl.Date).alias(ends_on))
    return pl.concat([past, again.select(past.columns)])


def _overwritten(frame: pl.DataFrame, dated: Dated, last_on: date, kind: str) -> pl.DataFrame:
    is_later = pl.col(dated.known_on) > last_on
    if kind == "shuffled":
        places = np.flatnonzero(frame.select(is_later).to_series().to_numpy())
        order = np.arange(len(frame))
        order[places] = np.random.default_rng(len(places)).permutation(places)
        return frame.with_columns(frame.select(dated.values)[order].get_columns())
    change: dict[str, Callable[[pl.Expr], pl.Expr]] = {
        "unknown": lambda column: pl.lit(float("nan")).alias(column.meta.output_name()),
        "tenfold": lambda column: column * 10.0,
        "sign_flipped": lambda column: -column,
    }
    return frame.with_columns(
        pl.when(is_later).then(change[kind](pl.col(name))).otherwise(pl.col(name)).alias(name) for name in dated.values
    )


def departures(whole: Frames, other: Frames, *, last_on: date, how: str) -> list[Finding]:
    """Where `other` says something else than `whole` about sessions up to `last_on`, bit by bit (NaN equals NaN).

    Findings are those of the first output in the order of `whole` that departs, one a column; later outputs, which
    build on it, are named in the evidence.
    """
    departed: dict[str, list[Finding]] = {}
    for name, frame in whole.items():
        ours, theirs = (part.filter(pl.col("session_on") <= last_on) for part in (frame, other[name]))
        if not ours.equals(theirs):
            departed[name] = _differences(name, ours, theirs, last_on, how)
    if not departed:
        return []
    first, *rest = departed
    return [
        Finding(found.where, found.text, {**found.evidence, "shows_again_in": rest} if rest else found.evidence)
        for found in departed[first]
    ]


def _differences(name: str, ours: pl.DataFrame, theirs: pl.DataFrame, last_on: date, how: str) -> list[Finding]:
    keys = [key for key in KEYS if key in ours.columns]
    if not ours.select(keys).equals(theirs.select(keys)):
        strangers = ours.join(theirs, on=keys, how="anti").select(keys)
        missing = theirs.join(ours, on=keys, how="anti").select(keys)
        example = (strangers if len(strangers) else missing).row(0, named=True) if len(strangers) + len(missing) else {}
        text = f"{name} has other rows up to {last_on} once {how}: {len(strangers)} went, {len(missing)} came"
        return [Finding(name, text, {"cut_on": last_on, "example": example})]
    found = []
    for column in ours.columns:
        differs = ours[column].ne_missing(theirs[column])
        if not differs.any():
            continue
        row = ours.filter(differs).row(0, named=True)
        text = (
            f"{name}.{column} changes on {int(differs.sum())} rows up to {last_on}, first on {row['session_on']},"
            f" once {how}"
        )
        evidence = {
            "cut_on": last_on,
            "rows": int(differs.sum()),
            "example": {key: row[key] for key in keys},
            "before": row[column],
            "after": theirs.filter(differs)[column][0],
        }
        found.append(Finding(f"{name}.{column}", text, evidence))
    return found


def probe_prefixes(
    path: DecisionPath,
    frames: Frames,
    tables: Mapping[str, Dated],
    cuts: Sequence[date],
    *,
    whole: Frames | None = None,
) -> Checked:
    """Prefix invariance: the path on data cut off at t gives the rows that the whole run gives up to t.

    `whole` is the path on all of `frames`, where it has been walked already.
    """
    whole = whole or quietly(path, frames)
    found: list[Finding] = []
    for cut in cuts:
        part = quietly(path, cut_off(frames, tables, cut))
        found += departures(whole, part, last_on=cut, how=f"what became known after {cut} is cut off")
    return Checked(_counted(whole, cuts), _distinct(found), _empty(whole, cuts))


def probe_poison(
    path: DecisionPath,
    frames: Frames,
    tables: Mapping[str, Dated],
    cuts: Sequence[date],
    *,
    kinds: Sequence[str] = POISONS,
    only: Sequence[str] | None = None,
    whole: Frames | None = None,
) -> Checked:
    """Future poisoning: garbage in everything known after t leaves the rows up to t as they are.

    The kinds of garbage take turns over the cuts. Garbage that moves no later row shows nothing: then the probe was
    blind. `whole` as in `probe_prefixes`.
    """
    whole = whole or quietly(path, frames)
    found: list[Finding] = []
    moved = False
    for number, cut in enumerate(cuts):
        kind = kinds[number % len(kinds)]
        spoiled = quietly(path, poison(frames, tables, cut, kind, only=only))
        what = f"{kind.replace('_', ' ')} values in {', '.join(only) if only else 'all tables'}"
        found += departures(whole, spoiled, last_on=cut, how=f"{what} replace what became known after {cut}")
        moved = moved or bool(departures(whole, spoiled, last_on=date.max, how=kind))
    blind = _empty(whole, cuts) or (None if moved else "no output depends on the values that were spoiled")
    return Checked(_counted(whole, cuts), _distinct(found), blind)


def quietly(path: DecisionPath, frames: Frames) -> Frames:
    """Run the path without the warnings that garbage provokes."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return path(frames)


def _counted(whole: Frames, cuts: Sequence[date]) -> str:
    columns = sum(len(frame.columns) for frame in whole.values())
    rows = sum(len(frame) for frame in whole.values())
    return f"{len(whole)} outputs, {columns} columns, {rows:,} rows, {len(cuts)} cuts from {min(cuts)} to {max(cuts)}"


def _empty(whole: Frames, cuts: Sequence[date]) -> str | None:
    last = max(cuts)
    without = [name for name, frame in whole.items() if not (frame["session_on"] <= last).any()]
    return f"no rows up to {last} in {', '.join(without)}" if without else None


def _distinct(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first finding of each place, with the number of cuts at which it shows."""
    first: dict[str, Finding] = {}
    times: dict[str, int] = {}
    for finding in found:
        first.setdefault(finding.where, finding)
        times[finding.where] = times.get(finding.where, 0) + 1
    return tuple(
        Finding(where, finding.text, {**finding.evidence, "cuts": times[where]}) for where, finding in first.items()
    )


def telling_cuts(sessions: Sequence[date], events: Mapping[str, Iterable[date]], *, each: int) -> list[date]:
    """Sessions at which a leak is likeliest to show, rising: `each` of every kind of event, and as many in between.

    A leak of one session's reach shows only where the cut falls inside it, so the cut is the session before an event:
    the event is then the first thing that must not be known. Evenly chosen, so the same input gives the same cuts.
    """
    ordered = sorted(sessions)
    places = {session: place for place, session in enumerate(ordered)}
    chosen = {ordered[place] for place in np.linspace(len(ordered) - 2, 0, each, endpoint=False).astype(int)}
    for days in events.values():
        before = sorted({places[day] - 1 for day in days if places.get(day, 0) > 0})
        if before:
            picked = np.unique(np.linspace(0, len(before) - 1, each).round().astype(int))
            chosen |= {ordered[before[place]] for place in picked}
    return sorted(chosen)


def probe_spans(
    train: tuple[Ints, Ints], test: tuple[Ints, Ints], *, embargo_sessions: int, what: str
) -> list[Finding]:
    """Label overlap: no training span (first, last session) may come nearer than the embargo to a test span."""
    kept = purge(train[0], train[1], test_first=test[0], test_last=test[1], embargo_sessions=embargo_sessions)
    if kept.all():
        return []
    text = f"{int((~kept).sum())} of {len(kept)} label spans of {what} come nearer than {embargo_sessions} sessions"
    worst = int(np.flatnonzero(~kept)[0])
    return [Finding(what, text, {"first_session": int(train[0][worst]), "last_session": int(train[1][worst])})]


def probe_shared_rows(train: npt.NDArray[np.float32], test: npt.NDArray[np.float32], *, what: str) -> list[Finding]:
    """Rows that stand on both sides of a split, value for value; rows of nothing but unknown values do not count."""
    said = [part[np.isfinite(part).any(axis=1)] for part in (train, test)]
    seen = {row.tobytes() for row in said[0]}
    shared = sum(row.tobytes() in seen for row in said[1])
    if not shared:
        return []
    return [Finding(what, f"{shared} of {len(said[1])} rows of {what} were trained on", {"rows": shared})]


# Follow decisions from 100 % cash: opens and closes (sessions, assets), the session on whose close the only decision
# was taken, its weights (assets); answers one value a session in units of the starting value.
Follow = Callable[[Floats, Floats, int, Floats], Floats]


def probe_fills(follow: Follow, *, what: str) -> Checked:
    """Same-bar fills: what a decision earns begins with the bar after it.

    Prices stand still but for one jump: inside the bar of the decision, in the night after it, or inside the next bar.
    The first two happened before the fill and may earn nothing, the third must be earned.
    """
    flat, decided = np.full((_BARS, 1), 100.0), 1
    jumps = {
        "inside the bar of the decision": (decided + 1, decided),
        "in the night between the decision and its fill": (decided + 1, decided + 1),
        "inside the bar of the fill": (decided + 2, decided + 1),
    }
    gains = {}
    for name, (opens_from, closes_from) in jumps.items():
        opens, closes = flat.copy(), flat.copy()
        opens[opens_from:] *= 1.2
        closes[closes_from:] *= 1.2
        values = follow(opens, closes, decided, np.array([0.9]))
        gains[name] = float(values[-1] - 1.0)
    *before, after = jumps
    found = tuple(
        Finding(what, f"{what} earns {gains[name]:+.1%} from a jump of 20 % {name}", {"gain": gains[name]})
        for name in before
        if abs(gains[name]) > _GAIN_TOLERANCE
    )
    blind = None if gains[after] > 0.1 else f"{what} earns {gains[after]:+.1%} from a jump of 20 % that it held through"
    return Checked(f"{what}: {len(jumps)} jumps of prices around one decision", found, blind)


def probe_universe(universe: pl.DataFrame, spells: pl.DataFrame, bars: pl.DataFrame) -> Checked:
    """Survivorship: who counts on a session belonged then, whatever became of it, and nobody who belonged is missing.

    `universe`: session_on, instrument_id of those that counted; `spells`: instrument_id, start_on, end_on (null: goes
    on); `bars`: instrument_id, session_on of those that traded.
    """
    sessions = universe["session_on"].unique()
    belonged = (
        bars.filter(pl.col("session_on").is_in(sessions.implode()))
        .join(spells, on="instrument_id")
        .filter(
            (pl.col("start_on") <= pl.col("session_on"))
            & (pl.col("end_on").is_null() | (pl.col("session_on") < pl.col("end_on")))
        )
        .select("session_on", "instrument_id")
        .unique()
    )
    keys = ["session_on", "instrument_id"]
    early = universe.join(belonged, on=keys, how="anti")
    lost = belonged.join(universe, on=keys, how="anti")
    last = bars["session_on"].max()
    left = spells.filter(pl.col("end_on").is_not_null() & (pl.col("end_on") <= last))["instrument_id"].unique()
    found = []
    if len(early):
        day, stock = early.select(keys).sort(keys).row(0)
        text = f"{len(early)} rows of the universe are of stocks that did not belong then, first {stock} on {day}"
        found.append(Finding("universe", text, {"rows": len(early), "instruments": early["instrument_id"].n_unique()}))
    if len(lost):
        day, stock = lost.select(keys).sort(keys).row(0)
        gone = lost.filter(pl.col("instrument_id").is_in(left.implode()))["instrument_id"].n_unique()
        text = f"{len(lost)} rows of members are missing, first {stock} on {day}; {gone} of these stocks left later"
        found.append(Finding("universe", text, {"rows": len(lost), "left_later": gone}))
    looked = f"{len(sessions)} sessions, {len(universe):,} rows, {len(left)} stocks that left"
    blind = None if len(left) and len(belonged) else "no stock left the universe in these data: survivors show nothing"
    return Checked(looked, tuple(found), blind)


def probe_rescaled(whole: Frames, rescaled: Frames, *, how: str) -> list[Finding]:
    """Adjusted levels: `rescaled` is the path on the same history with past prices on the basis of a later split or
    dividend, which must move no output."""
    parts = (departures({name: whole[name]}, {name: rescaled[name]}, last_on=date.max, how=how) for name in whole)
    return [finding for part in parts for finding in part]


def probe_images(
    values: npt.NDArray[np.float32], names: Sequence[str], label: Floats, day: Ints
) -> tuple[list[Finding], int]:
    """Labels among the features: columns of `values` (rows x names) whose daily rank correlation with the label is
    steadily beyond IMAGE_CORRELATION. Answers the findings and the number of days compared."""
    days = [np.flatnonzero((day == one) & np.isfinite(label)) for one in np.unique(day)]
    days = [rows for rows in days if len(rows) >= _STOCKS_COMPARED_MIN]
    # An image of the label shows on any hundred days as well as on all.
    days = days[:: max(len(days) // _DAYS_COMPARED, 1)]
    found = []
    for column, name in enumerate(names):
        daily = [value for rows in days if (value := _rank_correlation(values[rows, column], label[rows])) is not None]
        mean = float(np.mean(daily)) if len(daily) >= _DAYS_COMPARED_MIN else 0.0
        if abs(mean) > IMAGE_CORRELATION:
            text = f"{name} has a mean daily rank correlation of {mean:+.2f} with the label over {len(daily)} days"
            found.append(Finding(name, text, {"correlation": mean, "days": len(daily)}))
    return found, len(days)


def _rank_correlation(values: npt.NDArray[np.float32], label: Floats) -> float | None:
    known = np.isfinite(values)
    if known.sum() < _STOCKS_COMPARED_MIN:
        return None
    a, b = (np.argsort(np.argsort(part[known])).astype(np.float64) for part in (values, label))
    if np.ptp(values[known]) == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def probe_stamps(frame: pl.DataFrame, *, measured_on: str, known_on: str, lag_days: int, what: str) -> list[Finding]:
    """Known before it was measured: rows whose date of knowledge lies less than `lag_days` after what they measure."""
    early = frame.filter((pl.col(known_on) - pl.col(measured_on)).dt.total_days() < lag_days)
    if early.is_empty():
        return []
    row = early.row(0, named=True)
    text = (
        f"{len(early):,} of {len(frame):,} rows of {what} count as known less than {lag_days} days after they were"
        f" measured, first {row[measured_on]} known on {row[known_on]}"
    )
    return [Finding(what, text, {"rows": len(early)})]
