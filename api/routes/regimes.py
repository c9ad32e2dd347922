"""Market regimes: what each detector said, and when."""

from typing import Annotated

from fastapi import Query

from api.deps import AsOf, desk, needs
from api.schemas.regimes import FollowedOut, RegimeHistoryOut, RegimeNowOut, RegimeOut, SpanOut
from api.stretch import FromOn, SessionOn, ToOn, stretch
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.config import get_settings
from core.errors import NotFound
from database.queries import regimes as queries
from database.queries.charts import series_values
from database.queries.targets import chosen_between, newest_choice
from database.tables.regimes import LABELS

router = Word("regimes", tags=["regimes"])

INDEX = "SPX"
_USUAL_DAYS = 365
_YEARS_MAX = 25
Detector = Annotated[
    str | None,
    Query(
        max_length=32,
        pattern="^[a-z_]+$",
        description="rules or hidden_markov; without it the one that is acted on.",
        examples=["rules"],
    ),
]


@router.get("/current")
def show_current_regime(
    as_of: AsOf = None, detector: Detector = None, actor: Actor = needs("market.read")
) -> RegimeNowOut:
    """The regime as of a session: label, probabilities, drivers in words, since when, and what was followed."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        name = detector or get_settings().regime_detector
        read_on = queries.newest_read_on(session, detector=name, as_of=day)
        if read_on is None:
            raise NotFound(f"reading of the detector {name} up to", day.isoformat())
        readings = queries.regimes_on(session, session_on=read_on)
        own = readings.pop(name)
        since_on, sessions = queries.label_since(session, reading=own)
        choice = newest_choice(session, as_of=day)
        return RegimeNowOut(
            **RegimeOut.model_validate(own).model_dump(),
            as_of=day,
            since_on=since_on,
            sessions=sessions,
            others={other.detector: other.label for other in readings.values()},
            followed=None if choice is None else FollowedOut.model_validate(choice),
        )


@router.get("/history")
def show_regime_history(
    from_on: FromOn = None, to_on: ToOn = None, detector: Detector = None, actor: Actor = needs("market.read")
) -> RegimeHistoryOut:
    """Labels, probabilities and the index over a stretch of sessions, with spans of equal label to shade.

    Without `from_on` one year; at most 25.
    """
    with desk(actor) as session:
        first, last = stretch(from_on, to_on or practice_date(session), usual_days=_USUAL_DAYS, years_max=_YEARS_MAX)
        name = detector or get_settings().regime_detector
        rows = queries.readings_between(session, detector=name, first_on=first, last_on=last)
        values = series_values(session, series=INDEX, first_on=first, last_on=last)
        chosen = chosen_between(session, first_on=first, last_on=last)
    days, labels = [row[0] for row in rows], [row[1] for row in rows]
    return RegimeHistoryOut(
        detector=name,
        from_on=first,
        to_on=last,
        sessions=days,
        labels=labels,
        probabilities={label: [row[2].get(label, 0.0) for row in rows] for label in LABELS},
        index=[values.get(day) for day in days],
        strategies=[chosen.get(day) for day in days],
        spans=SpanOut.stretch(days, labels),
    )


@router.get("/{session_on}")
def show_regime(session_on: SessionOn, actor: Actor = needs("market.read")) -> list[RegimeOut]:
    """What each detector said of a session."""
    with desk(actor) as session:
        found = queries.regimes_on(session, session_on=session_on)
        if not found:
            raise NotFound("regime of session", session_on.isoformat())
        return [RegimeOut.model_validate(found[name]) for name in sorted(found)]
