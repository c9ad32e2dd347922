"""Lanes in shadow: their books, kept night by night, and what follows from them for champions and challengers.

Every lane of a strategy (see `database.tables.shadow`) begins with 1,000,000 USD in cash on the first night that it is
decided for, and trades what it decided anew on one evening at the next open, on the one simulator with standard costs.
The ledger belongs to the platform, not to a client's book: a replay adds the sessions that are not there yet and
changes none. All of it is hypothetical: nobody's money is in it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from core.log import get_logger
from database.queries import shadow as queries
from database.queries.models import folds_of_trial
from database.queries.quotes import quotes_on
from database.queries.shadow import Decision, Key, LaneDay
from database.queries.verdicts import newest_verdict
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.shadow import START_CENTS, ShadowDay
from market_data.calendars import sessions_between
from quant.costs import VOLUME_SESSIONS
from registry import shadow_book
from registry.alerts import raise_alert
from registry.roles import PASS, Standing, challengers, champions, promote, rollback, standing_of
from registry.serving import title
from registry.shadow_book import Books, Decided
from registry.succession import Word, keep_in_office, let_in

ACTOR = "shadow ledger"
# A lane that was not decided for in this many days is closed, and begins anew from cash if it comes back.
FORGOTTEN_DAYS = 14
_LOOK_BACK_DAYS = 400
_log = get_logger("registry")

Floats = npt.NDArray[np.float64]


def keep_ledger(session: Session, *, as_of: date) -> int:
    """Carry every lane's book to the close of the session `as_of`; returns how many rows are new.

    A book that missed nights is carried through them with what it held. What is stored stands.
    """
    since = as_of - timedelta(days=FORGOTTEN_DAYS)
    kept = queries.kept_on(session, session_on=as_of)
    alive = queries.allocated_lanes(session, first_on=since, last_on=as_of)
    books = [
        day
        for day in queries.newest_days(session, before=as_of, since=since)
        if _key(day) in alive and _key(day) not in kept
    ]
    tonight = queries.allocated_lanes(session, first_on=as_of, last_on=as_of)
    rows = [_start(key, as_of) for key in sorted(tonight - kept - {_key(day) for day in books})]
    for begun_on in sorted({day.session_on for day in books}):
        rows += _carry_on(session, [day for day in books if day.session_on == begun_on], as_of)
    return queries.add_days(session, rows)


def _key(day: ShadowDay) -> Key:
    return day.strategy, day.lane


def _start(key: Key, as_of: date) -> ShadowDay:
    return ShadowDay(
        strategy=key[0],
        lane=key[1],
        session_on=as_of,
        value_cents=START_CENTS,
        cash_cents=START_CENTS,
        traded_cents=0,
        costs_cents=0,
        holdings={},
        allocation_id=None,
    )


def _carry_on(session: Session, days: Sequence[ShadowDay], as_of: date) -> list[ShadowDay]:
    """The rows of books that all stand at the same session, from the one after it to `as_of`."""
    path = sessions_between(days[0].session_on, as_of)
    decisions = queries.fresh_decisions(session, first_on=path[0], last_on=path[-2])
    weighed = [decision.weights for by_lane in decisions.values() for decision in by_lane.values()]
    ids = sorted({int(key) for day in days for key in day.holdings}.union(*weighed))
    place = {instrument_id: column for column, instrument_id in enumerate(ids)}
    opens, closes = _lay_out_bars(session, place, path)
    paid = _lay_out_dividends(session, place, path)
    books = _open_books(days, place)
    shadow_book.restate(books, closes[0], _split_ratios(session, place, path))
    rows = []
    for today in range(1, len(path)):
        by_lane = decisions.get(path[today - 1], {})
        volumes = _volumes(session, place, path[today - 1]) if by_lane else np.zeros(len(ids))
        brought = shadow_book.Session(opens[today], closes[today], paid[today], volumes)
        traded, costs = shadow_book.carry(books, brought, _lay_out_decided(days, by_lane, place, closes[today - 1]))
        for lane, day in enumerate(days):
            decision = by_lane.get(_key(day))
            rows.append(
                ShadowDay(
                    strategy=day.strategy,
                    lane=day.lane,
                    session_on=path[today],
                    value_cents=int(books.value_cents[lane]),
                    cash_cents=int(books.cash_cents[lane]),
                    traded_cents=int(traded[lane]),
                    costs_cents=int(costs[lane]),
                    holdings={
                        str(ids[column]): [int(books.shares[lane, column]), float(books.marks[column])]
                        for column in np.flatnonzero(books.shares[lane])
                    },
                    allocation_id=decision.allocation_id if decision else None,
                )
            )
    return rows


def _open_books(days: Sequence[ShadowDay], place: Mapping[int, int]) -> Books:
    books = Books(
        cash_cents=np.array([day.cash_cents for day in days], dtype=np.int64),
        shares=np.zeros((len(days), len(place)), dtype=np.int64),
        marks=np.full(len(place), np.nan),
        value_cents=np.array([day.value_cents for day in days], dtype=np.int64),
    )
    for lane, day in enumerate(days):
        for key, (shares, close) in day.holdings.items():
            books.shares[lane, place[int(key)]] = shares
            books.marks[place[int(key)]] = close
    return books


def _lay_out_bars(session: Session, place: Mapping[int, int], path: Sequence[date]) -> tuple[Floats, Floats]:
    """Opens and closes, sessions x stocks, NaN where there is no bar."""
    row = {day: index for index, day in enumerate(path)}
    opens, closes = np.full((2, len(path), len(place)), np.nan)
    for bar in queries.bars_between(session, instrument_ids=place, first_on=path[0], last_on=path[-1]):
        at = row[bar.session_on], place[bar.instrument_id]
        opens[at], closes[at] = bar.open, bar.close
    return opens, closes


def _lay_out_dividends(session: Session, place: Mapping[int, int], path: Sequence[date]) -> Floats:
    row = {day: index for index, day in enumerate(path)}
    amounts = np.zeros((len(path), len(place)))
    for instrument_id, ex_on, amount in queries.dividends_between(
        session, instrument_ids=place, after_on=path[0], until_on=path[-1]
    ):
        if ex_on in row:
            amounts[row[ex_on], place[instrument_id]] += amount
    return amounts


def _split_ratios(session: Session, place: Mapping[int, int], path: Sequence[date]) -> dict[int, float]:
    """By column, new shares for old, of splits that may be between the stored closes and the bars as they are now."""
    after_on = path[0] - timedelta(days=FORGOTTEN_DAYS)
    splits = queries.splits_between(session, instrument_ids=place, after_on=after_on, until_on=path[-1])
    return {place[instrument_id]: float(ratio) for instrument_id, _, ratio in splits}


def _volumes(session: Session, place: Mapping[int, int], as_of: date) -> Floats:
    """Average daily volumes as known at the close of `as_of`, 0 where nothing is known."""
    volumes = np.zeros(len(place))
    quotes = quotes_on(session, instrument_ids=place, as_of=as_of, volume_sessions=VOLUME_SESSIONS)
    for instrument_id, quote in quotes.items():
        volumes[place[instrument_id]] = quote.average_volume
    return volumes


def _lay_out_decided(
    days: Sequence[ShadowDay], by_lane: Mapping[Key, Decision], place: Mapping[int, int], close: Floats
) -> Decided:
    weights = np.zeros((len(days), len(place)))
    due = np.zeros(len(days), dtype=np.bool_)
    for lane, day in enumerate(days):
        if _key(day) in by_lane:
            due[lane] = True
            for instrument_id, weight in by_lane[_key(day)].weights.items():
                weights[lane, place[instrument_id]] = weight
    return Decided(weights, due, close)


@dataclass(frozen=True)
class Finding:
    """What the shadow ledger says of one champion or challenger: promote, wait, keep or roll_back, and why."""

    kind: str
    strategy: str
    name: str
    version: int
    action: str
    reason: str


def review(session: Session, *, as_of: date) -> list[Finding]:
    """Hold champions and challengers against the ledger by the rule of `registry.succession`, and let it count.

    What clients get is held against the plain lane: where it has to go, the learned allocator goes first if one
    serves, then the screener. A challenger's lane is held against the served one, on the sessions on which its
    configuration decided and, for an allocator, both lanes weighed the same scores. The ledger of the last 400 days
    counts. Changes take effect on the day after `as_of`, whose scores are stored by now.
    """
    in_office = {kind: champions(session, kind=kind, as_of=as_of) for kind in ("screener", "allocator")}
    waiting = {kind: challengers(session, kind=kind, as_of=as_of) for kind in ("screener", "allocator")}
    strategies = {name for holders in (*in_office.values(), *waiting.values()) for name in holders}
    if not strategies:
        return []
    ledger = queries.lane_days(
        session,
        strategies=strategies,
        first_on=as_of - timedelta(days=_LOOK_BACK_DAYS),
        last_on=as_of,
        start_cents=START_CENTS,
    )
    findings = []
    for strategy in sorted(strategies):
        screener, allocator = (in_office[kind].get(strategy) for kind in ("screener", "allocator"))
        lanes = {lane: days for (name, lane), days in ledger.items() if name == strategy}
        if screener is not None:
            findings.append(_review_champion(session, screener, allocator, lanes, as_of))
        for kind, challenger in ((kind, waiting[kind].get(strategy)) for kind in ("screener", "allocator")):
            champion = in_office[kind].get(strategy)
            if challenger is not None and challenger is not champion:
                findings.append(_review_challenger(session, challenger, champion, lanes, as_of))
    return findings


def _review_champion(
    session: Session,
    screener: ModelVersion,
    allocator: ModelVersion | None,
    lanes: Mapping[str, Sequence[LaneDay]],
    as_of: date,
) -> Finding:
    """Of what is served: the allocator answers for it where one is champion, else the screener."""
    model = allocator or screener
    since = max(_in_office_since(session, one, as_of) for one in (screener, allocator) if one)
    pairs = [
        pair
        for pair in _pairs(lanes.get("served", ()), lanes.get("plain", ()))
        if pair.decided_on >= since and pair.own.screener_id is not None
    ]
    word = keep_in_office(*_returns(pairs))
    if word.action == "roll_back":
        word = _roll_back(session, model, word, as_of)
    return _found(model, word)


def _roll_back(session: Session, model: ModelVersion, word: Word, as_of: date) -> Word:
    effective_on = as_of + timedelta(days=1)
    if effective_on >= model.valid_to_on:
        return Word("keep", f"{word.reason}; its service ends tonight")
    reason = f"by the shadow ledger of {as_of}: {word.reason}"
    rollback(session, name=model.name, effective_on=effective_on, actor=ACTOR, reason=reason)
    raise_alert(
        session,
        severity="critical",
        subject=model.name,
        text=f"{title(model)} was taken out of service {reason}",
        details={"model_version_id": model.model_version_id},
    )
    return word


def _review_challenger(
    session: Session,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    lanes: Mapping[str, Sequence[LaneDay]],
    as_of: date,
) -> Finding:
    own = _configuration(session, challenger)
    pairs = [
        pair
        for pair in _pairs(lanes.get(challenger.kind, ()), lanes.get("served", ()))
        if _decider(challenger.kind, pair.own) in own
        and (challenger.kind == "screener" or pair.own.screener_id == pair.other.screener_id)
    ]
    word = let_in(*_returns(pairs))
    if word.action == "promote":
        word = _promote(session, challenger, champion, word, as_of)
    return _found(challenger, word)


def _promote(
    session: Session, challenger: ModelVersion, champion: ModelVersion | None, word: Word, as_of: date
) -> Word:
    """Promote where the gate has passed it and nothing else stands in the way; else it waits, and says why."""
    effective_on = as_of + timedelta(days=1)
    verdict = newest_verdict(session, model_version_id=challenger.model_version_id, as_of=as_of)
    said = verdict.verdict.replace("_", " ") if verdict else "not judged"
    standing = standing_of(session, name=challenger.name, as_of=as_of)
    if verdict is None or verdict.verdict != PASS:
        return Word("wait", f"{word.reason}; the gate says {said}")
    if challenger.model_version_id in standing.removed or standing.held is not None:
        return Word("wait", f"{word.reason}; who was taken out or is on hold comes back by people only")
    if champion is None or effective_on >= challenger.valid_to_on:
        return Word("wait", f"{word.reason}; the next judging decides")
    reason = f"by the shadow ledger of {as_of}: {word.reason}; the gate says pass: {verdict.reason}"
    promote(session, model=challenger, effective_on=effective_on, actor=ACTOR, reason=reason)
    raise_alert(
        session,
        severity="notice",
        subject=challenger.name,
        text=f"{title(challenger)} takes over from {title(champion)} {reason}",
        details={"model_version_id": challenger.model_version_id},
    )
    return word


def _found(model: ModelVersion, word: Word) -> Finding:
    if word.action in ("promote", "roll_back"):
        _log.info("shadow ledger", action=word.action, model=title(model), reason=word.reason)
    return Finding(model.kind, model.strategy, model.name, model.version, word.action, word.reason)


@dataclass(frozen=True)
class _Pair:
    """Two lanes over one session: `own` and `other` are the days on whose evening was decided what earned it."""

    decided_on: date
    own: LaneDay
    other: LaneDay
    own_return: float
    other_return: float


def _pairs(own: Sequence[LaneDay], other: Sequence[LaneDay]) -> Iterator[_Pair]:
    """The sessions over which both books ran on without a break, in order."""
    if not own:
        return
    theirs = {day.session_on: day for day in other}
    following = dict(pairwise(sessions_between(own[0].session_on, own[-1].session_on)))
    for before, after in pairwise(own):
        day, then = theirs.get(before.session_on), theirs.get(after.session_on)
        runs_on = following.get(before.session_on) == after.session_on
        if day is None or then is None or not runs_on or after.is_start or then.is_start:
            continue
        yield _Pair(
            decided_on=before.session_on,
            own=before,
            other=day,
            own_return=after.value_cents / before.value_cents - 1.0,
            other_return=then.value_cents / day.value_cents - 1.0,
        )


def _returns(pairs: Sequence[_Pair]) -> tuple[Floats, Floats]:
    return np.array([pair.own_return for pair in pairs]), np.array([pair.other_return for pair in pairs])


def _decider(kind: str, day: LaneDay) -> int | None:
    return day.screener_id if kind == "screener" else day.allocator_id


def _configuration(session: Session, model: ModelVersion) -> Collection[int | None]:
    """The versions that are folds of the model's configuration: what one year's fold shows counts for the next."""
    if model.trial_id is None:
        return {model.model_version_id}
    return {fold.model_version_id for fold in folds_of_trial(session, trial_id=model.trial_id)}


def _in_office_since(session: Session, model: ModelVersion, as_of: date) -> date:
    """The day from which folds of the model's configuration have been champion without another in between."""
    own = _configuration(session, model)
    standing: Standing = standing_of(session, name=model.name, as_of=as_of)
    since = model.valid_from_on
    for row in reversed(standing.crowned):
        if row.model_version_id not in own or row.model_version_id in standing.removed:
            break
        since = row.effective_on
    return since
