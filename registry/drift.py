"""What is said about drift: calm, alarm or unknown, in a sentence, as of a date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from database.queries import drift as queries
from database.session import Session
from database.tables.drift import DriftReading

State = Literal["calm", "alarm", "unknown"]
# Drift is read every night; what was said before a long holiday is still the newest word, what is older is none.
FORGOTTEN_DAYS = 10


@dataclass(frozen=True)
class DriftState:
    """What is known of a feature's or model's drift: `read_on` is the session of the newest reading, if any."""

    name: str
    state: State
    sentence: str
    read_on: date | None


def drift_state(session: Session, *, name: str, as_of: date, model_version_id: int | None = None) -> DriftState:
    """The newest word on a feature or model up to `as_of`; of one version of the model where it is named.

    unknown: never read, or not within the last ten days.
    """
    readings = queries.newest_readings(session, subject=name, as_of=as_of, model_version_id=model_version_id)
    if not readings:
        return DriftState(name, "unknown", f"drift of {name} was not read up to {as_of}: acis drift run", None)
    read_on = readings[0].session_on
    if read_on < as_of - timedelta(days=FORGOTTEN_DAYS):
        sentence = f"drift of {name} was last read on {read_on}, too long before {as_of}: acis drift run"
        return DriftState(name, "unknown", sentence, read_on)
    alarms = [reading for reading in readings if reading.is_alarm]
    return DriftState(name, "alarm" if alarms else "calm", _sentence(name, alarms, readings), read_on)


def _sentence(name: str, alarms: Sequence[DriftReading], readings: Sequence[DriftReading]) -> str:
    if alarms:
        return "; ".join(dict.fromkeys(reading.summary for reading in alarms))
    return f"{name} is calm: none of {len({reading.measure for reading in readings})} measures has left its range"
