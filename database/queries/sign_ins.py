"""Who is signed in from where, and who tried to be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, false, func, select, update

from database.paging import Page, read_page
from database.session import Session
from database.tables.sign_ins import RefreshToken, SignIn, SignInAttempt

SIGN_IN_SORTS = {"created_at": SignIn.created_at, "last_used_at": SignIn.last_used_at}


@dataclass(frozen=True)
class Failures:
    """Failed tries that count against the next one, and when the last was."""

    count: int
    last_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """What the tries of late say of the next one."""

    pair: Failures
    account: Failures
    address: Failures
    is_familiar: bool


def read_standing(
    session: Session, *, email_hash: str, address: str, failed_since: datetime, familiar_since: datetime
) -> Standing:
    """Failed tries at this account from this address (since the last that went well), at it from anywhere, and from
    this address at any account; familiar where the account was signed in to from here of late."""
    at_account, from_here = SignInAttempt.email_hash == email_hash, SignInAttempt.address == address
    good = select(SignInAttempt).where(at_account, from_here, SignInAttempt.succeeded)
    last_good = good.with_only_columns(func.coalesce(func.max(SignInAttempt.attempt_id), 0)).scalar_subquery()
    good_at = good.with_only_columns(func.max(SignInAttempt.at)).scalar_subquery()
    kinds = (at_account & from_here & (SignInAttempt.attempt_id > last_good), at_account, from_here)
    found: Any = session.execute(
        select(
            *(figure.filter(kind) for kind in kinds for figure in (func.count(), func.max(SignInAttempt.at))),
            func.coalesce(good_at > familiar_since, false()),
        ).where(at_account | from_here, ~SignInAttempt.succeeded, SignInAttempt.at > failed_since)
    ).one()
    return Standing(Failures(*found[0:2]), Failures(*found[2:4]), Failures(*found[4:6]), found[6])


def account_failures(session: Session, *, email_hash: str, failed_since: datetime) -> Failures:
    """Failed tries at an account, from anywhere."""
    rules = (SignInAttempt.email_hash == email_hash, ~SignInAttempt.succeeded, SignInAttempt.at > failed_since)
    return Failures(*session.execute(select(func.count(), func.max(SignInAttempt.at)).where(*rules)).one())


def add_attempt(session: Session, *, email_hash: str, address: str, at: datetime) -> int:
    """Keep a try, as failed until it is known to have gone well; its number."""
    attempt = SignInAttempt(at=at, email_hash=email_hash, address=address, succeeded=False)
    session.add(attempt)
    session.flush()
    return attempt.attempt_id


def attempt_succeeded(session: Session, *, attempt_id: int) -> None:
    """The try went well."""
    session.execute(update(SignInAttempt).where(SignInAttempt.attempt_id == attempt_id).values(succeeded=True))


def drop_attempt(session: Session, *, attempt_id: int) -> None:
    """The try was neither good nor bad: it does not count."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.attempt_id == attempt_id))


def forget_failures(session: Session, *, email_hash: str) -> tuple[int, int]:
    """Take an account's failed tries away; how many they were, and from how many addresses."""
    gone = session.scalars(
        delete(SignInAttempt)
        .where(SignInAttempt.email_hash == email_hash, ~SignInAttempt.succeeded)
        .returning(SignInAttempt.address)
    ).all()
    return len(gone), len(set(gone))


def prune(session: Session, *, attempts_before: datetime, ended_before: datetime) -> None:
    """Let go of old tries, and of sign-ins that ended long ago with their tokens."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.at < attempts_before))
    session.execute(delete(SignIn).where(SignIn.expires_at < ended_before))


def add_sign_in(session: Session, sign_in: SignIn) -> None:
    """Store a new sign-in."""
    session.add(sign_in)
    session.flush()


def add_token(session: Session, token: RefreshToken) -> None:
    """Store a new token of a sign-in."""
    session.add(token)
    session.flush()


def lock_sign_in_of(session: Session, *, token_hash: str) -> SignIn | None:
    """The sign-in that a refresh token belongs to; nobody else changes its tokens until the transaction ends."""
    of_token = select(RefreshToken.sign_in_id).where(RefreshToken.token_hash == token_hash).scalar_subquery()
    return session.scalar(select(SignIn).where(SignIn.sign_in_id == of_token).with_for_update())


def get_token(session: Session, *, token_hash: str) -> RefreshToken | None:
    """A refresh token as it is now."""
    return session.get(RefreshToken, token_hash, populate_existing=True)


def drop_expired_tokens(session: Session, *, sign_in_id: UUID, at: datetime) -> None:
    """Let go of a sign-in's tokens that would be refused by their date anyway."""
    session.execute(delete(RefreshToken).where(RefreshToken.sign_in_id == sign_in_id, RefreshToken.expires_at < at))


def end_sign_in(session: Session, *, sign_in_id: UUID, reason: str, at: datetime, user_id: int | None = None) -> bool:
    """End one sign-in (of this user, where named); False where there is none that goes on."""
    rules = [SignIn.sign_in_id == sign_in_id, SignIn.revoked_at.is_(None)]
    if user_id is not None:
        rules.append(SignIn.user_id == user_id)
    ended = session.execute(
        update(SignIn).where(*rules).values(revoked_at=at, revoked_reason=reason).returning(SignIn.sign_in_id)
    )
    return ended.first() is not None


def end_sign_ins_of(session: Session, *, user_id: int, reason: str, at: datetime) -> int:
    """End all of a user's sign-ins; how many went on until now."""
    ended = session.scalars(
        update(SignIn)
        .where(SignIn.user_id == user_id, SignIn.revoked_at.is_(None))
        .values(revoked_at=at, revoked_reason=reason)
        .returning(SignIn.expires_at)
    ).all()
    return sum(expires_at > at for expires_at in ended)


def sign_ins_page(session: Session, *, user_id: int, at: datetime, sort: str, limit: int, cursor: str | None) -> Page:
    """A user's sign-ins that go on, one page."""
    query = select(SignIn).where(SignIn.user_id == user_id, SignIn.revoked_at.is_(None), SignIn.expires_at > at)
    return read_page(session, query, sorts=SIGN_IN_SORTS, key=SignIn.sign_in_id, sort=sort, limit=limit, cursor=cursor)
