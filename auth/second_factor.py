"""The second factor: codes of an authenticator (TOTP, RFC 6238) and the paper codes that stand in for it, once each."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

import pyotp

from auth.audit import record
from auth.vault import is_sealed_with_newest, open_sealed, seal
from core.clock import now
from core.errors import InputError, Refused
from database.queries import users as queries
from database.session import Session
from database.tables.users import User

RECOVERY_CODES = 10
_STEP_S = 30
_DRIFT_STEPS = 1
_ISSUER = "ACIS"
_PURPOSE = "second factor"
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator needs to know; shown once, and counts once a code has confirmed it."""

    secret: str
    uri: str


def begin_second_factor(session: Session, user: User) -> Enrolment:
    """A new secret for an authenticator. Refused while another is confirmed."""
    _require_off(user)
    secret = pyotp.random_base32()
    user.totp_secret = seal(secret.encode(), purpose=_PURPOSE, user_id=user.user_id)
    user.totp_last_step = None
    session.flush()
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=_ISSUER))


def confirm_second_factor(session: Session, user: User, *, code: str) -> list[str]:
    """Switch the second factor on with a code of it; the recovery codes, shown once."""
    _require_off(user)
    if user.totp_secret is None:
        raise Refused("no authenticator has been set up: begin with a new secret")
    if not take_code(session, user, code):
        raise InputError("code is not the authenticator's at this moment: check its clock, and take the next one")
    user.totp_confirmed_at = now()
    codes = _replace_recovery_codes(session, user)
    record(session, actor=user.email, action="switch on", subject="second factor", subject_id=user.user_id)
    return codes


def renew_recovery_codes(session: Session, user: User) -> list[str]:
    """New paper codes in the place of all earlier ones; shown once."""
    if user.totp_confirmed_at is None:
        raise Refused("the second factor is off: recovery codes come with it")
    codes = _replace_recovery_codes(session, user)
    record(session, actor=user.email, action="renew", subject="recovery codes", subject_id=user.user_id)
    return codes


def remove_second_factor(session: Session, user: User, *, actor: str) -> None:
    """Switch the second factor off and forget its secret and paper codes. Refused where there is none."""
    if user.totp_secret is None:
        raise Refused(f"{user.email} has no second factor")
    user.totp_secret = user.totp_confirmed_at = user.totp_last_step = None
    queries.replace_recovery_codes(session, user_id=user.user_id, hashes=[])
    record(session, actor=actor, action="switch off", subject="second factor", subject_id=user.user_id)


def take_code(session: Session, user: User, code: str) -> bool:
    """Whether it is the authenticator's code, of this half-minute or a neighbouring one, never used before.

    IntegrityBroken where the secret does not open: it was changed, moved, or its key is gone.
    """
    if user.totp_secret is None:
        return False
    typed = "".join(code.split())
    secret = open_sealed(user.totp_secret, purpose=_PURPOSE, user_id=user.user_id)
    authenticator, present = pyotp.TOTP(secret.decode()), int(now().timestamp()) // _STEP_S
    steps = range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1)
    # Every step is compared: the time taken does not tell which one it was.
    right = [step for step in steps if compare_digest(authenticator.at(step * _STEP_S).encode(), typed.encode())]
    if not right or not queries.take_totp_step(session, user_id=user.user_id, step=right[-1]):
        return False
    if not is_sealed_with_newest(user.totp_secret):
        user.totp_secret = seal(secret, purpose=_PURPOSE, user_id=user.user_id)
    return True


def take_recovery_code(session: Session, user: User, code: str) -> bool:
    """Whether it is one of the paper codes, not used before; it is used up."""
    return queries.take_recovery_code(session, user_id=user.user_id, code_hash=_hash(user.user_id, code), at=now())


def reseal_second_factors(session: Session) -> int:
    """Seal every secret with the newest key, after which the older keys may go; how many were sealed with those."""
    due = [one for one in queries.sealed_secrets(session) if not is_sealed_with_newest(one.totp_secret or b"")]
    for user in due:
        secret = open_sealed(user.totp_secret or b"", purpose=_PURPOSE, user_id=user.user_id)
        user.totp_secret = seal(secret, purpose=_PURPOSE, user_id=user.user_id)
    return len(due)


def _require_off(user: User) -> None:
    if user.totp_confirmed_at is not None:
        raise Refused("the second factor is on: switch it off first, with the password and a code")


def _replace_recovery_codes(session: Session, user: User) -> list[str]:
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES)
    ]
    queries.replace_recovery_codes(session, user_id=user.user_id, hashes=[_hash(user.user_id, code) for code in codes])
    return codes


def _hash(user_id: int, code: str) -> str:
    """The codes are random (80 bits), so a plain hash cannot be searched; the user's number keeps codes their own."""
    plain = "".join(character for character in code.upper() if character in _ALPHABET)
    return sha256(f"{user_id}:{plain}".encode()).hexdigest()
