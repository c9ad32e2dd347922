"""Market regimes: what each detector said, and when."""

from datetime import date

from fastapi import APIRouter

from api.deps import desk, needs
from api.schemas.regimes import RegimeOut
from auth.actor import Actor
from core.errors import NotFound
from database.queries.regimes import regimes_on

router = APIRouter(prefix="/regimes", tags=["regimes"])


@router.get("/{session_on}")
def show_regime(session_on: date, actor: Actor = needs("market.read")) -> list[RegimeOut]:
    """What each detector said of a session."""
    with desk(actor) as session:
        found = regimes_on(session, session_on=session_on)
        if not found:
            raise NotFound("regime of session", session_on.isoformat())
        return [RegimeOut.model_validate(row) for row in found.values()]
