"""What the drift readings of the last sessions say of a feature or model, summed up as of a date. Reads rows only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from database.queries import drift as queries
from database.session import Session
from database.tables.drift import DriftReading
from database.tables.models import ModelVersion

State = Literal["calm", "alarm", "unknown"]
# Drift is read every night; what was said before a long holiday is still the newest word, what is older is none.
FORGOTTEN_DAYS = 10
# One night's alarm is told at once; what follows from it waits until most of a week's readings agree.
STATE_SESSIONS = 5
# What a model reads, and what a feature looks like: without them nothing is known of its drift.
_MUST_BE_KNOWN = ("inputs", "ks")


@dataclass(frozen=True)
class DriftState:
    """What is known of a feature's or model's drift: `read_on` is the session of the newest reading, if any."""

    name: str
    state: State
    sentence: str
    read_on: date | None


def drift_state(session: Session, *, name: str, as_of: date, model_version_id: int | None = None) -> DriftState:
    """The newest word on a feature or model up to `as_of`; of one version of the model where it is named.

    alarm: most of the last five sessions read alarm, or of as many as there are. unknown: never read, not within the
    last ten days, or there was nothing to hold it against.
    """
    found = queries.newest_readings(
        session, subject=name, as_of=as_of, model_version_id=model_version_id, sessions=STATE_SESSIONS
    )
    return _state(name, found, as_of)


def drift_states(session: Session, models: Collection[ModelVersion], *, as_of: date) -> dict[int, DriftState]:
    """The same of several versions, by model_version_id."""
    found = queries.newest_readings_by_version(
        session,
        model_version_ids=[model.model_version_id for model in models],
        as_of=as_of,
        sessions=STATE_SESSIONS,
    )
    return {
        model.model_version_id: _state(model.name, found.get(model.model_version_id, []), as_of) for model in models
    }


def _state(name: str, found: Sequence[DriftReading], as_of: date) -> DriftState:
    if not found:
        return DriftState(name, "unknown", f"drift of {name} was not read up to {as_of}: acis drift run", None)
    read_on, oldest = found[0].session_on, as_of - timedelta(days=FORGOTTEN_DAYS)
    if read_on < oldest:
        sentence = f"drift of {name} was last read on {read_on}, too long before {as_of}: acis drift run"
        return DriftState(name, "unknown", sentence, read_on)
    found = [reading for reading in found if reading.session_on >= oldest]
    incomparable = [reading for reading in found if reading.measure in _MUST_BE_KNOWN and reading.value is None]
    if incomparable and not any(reading.is_alarm for reading in found):
        return DriftState(name, "unknown", incomparable[0].summary, read_on)
    alarming = {reading.session_on for reading in found if reading.is_alarm}
    if 2 * len(alarming) <= len({reading.session_on for reading in found}):
        return DriftState(name, "calm", _calm(name, found, read_on), read_on)
    newest = max(alarming)
    alarms = [reading.summary for reading in found if reading.is_alarm and reading.session_on == newest]
    return DriftState(name, "alarm", "; ".join(dict.fromkeys(alarms)), read_on)


def _calm(name: str, found: Sequence[DriftReading], read_on: date) -> str:
    measures = [reading for reading in found if reading.session_on == read_on]
    alarms = [reading.summary for reading in measures if reading.is_alarm]
    if alarms:
        return f"{name} has alarmed too few nights to act on: {alarms[0]}"
    return f"{name} is calm: none of {len({reading.measure for reading in measures})} measures has left its range"
