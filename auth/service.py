"""The verbs of sign-in for doors."""

from auth.actor import Actor
from core.errors import NotSignedIn

KEY_PREFIX = "acis_"


def actor_of_key(key: str) -> Actor:
    """Who a machine's key acts as. NotSignedIn for a key that is unknown, revoked or past its date."""
    raise NotSignedIn(f"the key {key[:10]}... is unknown, revoked or past its date: ask an admin for a new one")
