"""Verbs of the room: reading the market's regime."""

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Any

import polars as pl

from core.config import get_settings
from core.errors import DataMissing
from core.progress import Progress, silent
from database.queries.bars import read_bars
from database.queries.index_memberships import read_memberships
from database.queries.instruments import read_instruments
from database.queries.macro_series import read_macro
from database.queries.regimes import add_regimes, regimes_on, sessions_read
from database.session import Session, database_url
from database.tables.regimes import LABELS, Regime
from market_data.calendars import sessions_between
from market_data.service import data_vintage
from quant.regime_drivers import describe_drivers
from quant.regime_inputs import compute_inputs
from quant.regimes import DETECTORS


@dataclass(frozen=True)
class RegimeReading:
    """What the detector that is acted on says about a session, why, and what the others say."""

    session_on: date
    detector: str
    label: str
    raw_label: str
    probabilities: dict[str, float]
    drivers: dict[str, dict[str, Any]]
    detector_version: str
    other_labels: dict[str, str]


@dataclass(frozen=True)
class _History:
    """All there is, computed once per state of the data. Row t holds only what was known at t (tested)."""

    inputs: pl.DataFrame
    readings: dict[str, pl.DataFrame]
    bars_from_on: date


def detect_regime(session: Session, *, as_of: date) -> RegimeReading:
    """Read the regime of the session `as_of` by every detector and store it; what is stored already stands.

    DataMissing when the detector that is acted on (setting `regime_detector`) lacks an input of that day.
    """
    stored = regimes_on(session, session_on=as_of)
    if not DETECTORS.keys() <= stored.keys():
        detect_regimes(session, first_on=as_of, last_on=as_of)
        stored = regimes_on(session, session_on=as_of)
    acted_on = get_settings().regime_detector
    if acted_on not in stored:
        raise DataMissing(_what_is_missing(session, as_of))
    reading = stored.pop(acted_on)
    return RegimeReading(
        session_on=as_of,
        detector=acted_on,
        label=reading.label,
        raw_label=reading.raw_label,
        # The database keeps JSON's content, not its order.
        probabilities={label: reading.probabilities[label] for label in LABELS},
        drivers={name: reading.drivers[name] for name in DETECTORS[acted_on].reads},
        detector_version=reading.detector_version,
        other_labels={name: other.label for name, other in stored.items()},
    )


def detect_regimes(session: Session, *, first_on: date, last_on: date, progress: Progress = silent) -> int:
    """Store the readings of all sessions from `first_on` to `last_on` that are not stored yet; returns how many.

    Sessions before the first bar are history to learn from, not to be read.
    """
    present = sessions_read(session, first_on=first_on, last_on=last_on)
    wanted = sessions_between(first_on, last_on)
    if all(present.get(name, set()).issuperset(wanted) for name in DETECTORS):
        return 0
    history = _history(database_url(), _versions(session))
    within = pl.col("session_on").is_between(max(first_on, history.bars_from_on), last_on)
    inputs = {row["session_on"]: row for row in history.inputs.filter(within).to_dicts()}
    digests = {year: _digest(session, year) for year in {day.year for day in inputs}}
    stored = 0
    for done, (name, readings) in enumerate(history.readings.items()):
        progress("regimes", done, len(DETECTORS))
        stored += add_regimes(
            session,
            [
                _row(name, reading, inputs[reading["session_on"]], digests[reading["session_on"].year])
                for reading in readings.filter(within).to_dicts()
                if reading["session_on"] not in present.get(name, set())
            ],
        )
    progress("regimes", len(DETECTORS), len(DETECTORS))
    return stored


def _row(detector: str, reading: dict[str, Any], inputs: dict[str, Any], digest: str) -> Regime:
    return Regime(
        session_on=reading["session_on"],
        detector=detector,
        label=reading["label"],
        raw_label=reading["raw_label"],
        probabilities={label: round(reading[label], 6) for label in LABELS},
        drivers=describe_drivers(DETECTORS[detector].reads, inputs),
        detector_version=DETECTORS[detector].version,
        data_vintage={"digest": digest},
    )


def _digest(session: Session, year: int) -> str:
    """Fingerprint of the versions of all data up to `year`."""
    known = data_vintage(session, as_of=date(year, 12, 31))
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _versions(session: Session) -> str:
    return json.dumps(data_vintage(session, as_of=date.max), sort_keys=True)


@lru_cache(maxsize=1)
def _history(database: str, versions: str) -> _History:  # noqa: ARG001 both are the key of the cache
    bars = read_bars(as_of=date.max, columns=("adj_close",))
    if bars.is_empty():
        raise DataMissing("there are no bars yet; load some first: acis data load-sample")
    inputs = compute_inputs(
        bars=bars,
        memberships=read_memberships(as_of=date.max),
        instruments=read_instruments(),
        macro=read_macro(as_of=date.max),
    )
    first_on = bars["session_on"].min()
    assert isinstance(first_on, date)
    readings = {name: detector.detect(inputs) for name, detector in DETECTORS.items()}
    return _History(inputs=inputs, readings=readings, bars_from_on=first_on)


def _what_is_missing(session: Session, as_of: date) -> str:
    detector = DETECTORS[get_settings().regime_detector]
    rows = _history(database_url(), _versions(session)).inputs.filter(pl.col("session_on") == as_of)
    if rows.is_empty():
        return f"no regime for {as_of}: there are no bars of that session"
    missing = [name for name in detector.reads if rows[name].item() is None]
    return f"no regime for {as_of}: {', '.join(missing) or 'enough history'} not known; load VIX, SPX and DGS series"
