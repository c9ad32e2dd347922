"""Seals small secrets at rest: AES-256-GCM under a key of the firm, bound to what it is for and whose it is.

A sealed secret that is moved to another person's row does not open. Several keys may be in use: the newest seals, each
opens what it sealed, so that keys are changed without a pause and old dumps stay readable as long as their key is kept.
"""

import secrets
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth.firm_keys import read_firm_keys
from core.config import get_settings
from core.errors import IntegrityBroken

_FORMAT = b"\x01"
_KEY_ID_BYTES, _NONCE_BYTES = 6, 12
_HEAD_BYTES = 1 + _KEY_ID_BYTES + _NONCE_BYTES


def seal(secret: bytes, *, purpose: str, user_id: int) -> bytes:
    """The secret, sealed under the newest key."""
    key_id, key = next(iter(_keys().items()))
    head = _FORMAT + key_id + secrets.token_bytes(_NONCE_BYTES)
    return head + AESGCM(key).encrypt(head[-_NONCE_BYTES:], secret, _bound_to(head, purpose, user_id))


def open_sealed(sealed: bytes, *, purpose: str, user_id: int) -> bytes:
    """What `seal` was given. IntegrityBroken where it was changed, moved, or sealed with a key that is gone."""
    head, key_id = sealed[:_HEAD_BYTES], sealed[1 : 1 + _KEY_ID_BYTES]
    if sealed[:1] != _FORMAT or len(head) < _HEAD_BYTES:
        raise IntegrityBroken(f"the {purpose} of user {user_id} is not in a form that this version knows")
    key = _keys().get(key_id)
    if key is None:
        raise IntegrityBroken(
            f"the {purpose} of user {user_id} was sealed with the key {key_id.hex()}, which ACIS_VAULT_KEYS no longer"
            " holds: put it back, or reset the second factor"
        )
    try:
        return AESGCM(key).decrypt(head[-_NONCE_BYTES:], sealed[_HEAD_BYTES:], _bound_to(head, purpose, user_id))
    except InvalidTag as error:
        raise IntegrityBroken(
            f"the {purpose} of user {user_id} does not open: it was changed, or moved from another's row"
        ) from error


def is_sealed_with_newest(sealed: bytes) -> bool:
    """Whether the newest key sealed it; where not, it is due to be sealed anew."""
    return sealed[1 : 1 + _KEY_ID_BYTES] == next(iter(_keys()))


def _bound_to(head: bytes, purpose: str, user_id: int) -> bytes:
    return head + f"acis:{purpose}:{user_id}".encode()


@cache
def _keys() -> dict[bytes, bytes]:
    settings = get_settings()
    given = read_firm_keys(settings.vault_keys, setting="ACIS_VAULT_KEYS", made_in=settings.vault_key_file)
    # A word is as long as somebody made it; the cipher wants 32 bytes, and another purpose must not share them.
    return {
        bytes.fromhex(name): HKDF(algorithm=SHA256(), length=32, salt=None, info=b"acis vault").derive(word)
        for name, word in given.items()
    }
