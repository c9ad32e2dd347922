"""Who sees which rows: says to the database, for this transaction alone, on whose behalf it reads and writes."""

from auth.actor import Actor
from auth.roles import SEES
from core.clock import today_in_new_york
from core.errors import NotSignedIn
from database.queries import users as queries
from database.session import Session


def enter(session: Session, actor: Actor) -> None:
    """Begin the actor's work: from here to the end of the transaction the rows of others do not exist.

    NotSignedIn where the actor was disabled, signed out or given another role since the token was made.
    """
    standing = queries.enter(
        session,
        user_id=actor.user_id,
        epoch=actor.epoch,
        sign_in_id=actor.sign_in_id,
        api_key_id=actor.api_key_id,
        sees=SEES[actor.role],
        on=today_in_new_york(),
    )
    if standing != actor.role:
        raise NotSignedIn("the sign-in has ended, or the role has changed: sign in again")
