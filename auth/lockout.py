"""Slows guessing down: who failed of late waits, longer each time, and a stranger's guesses lock nobody out at home.

Three counts of failed tries in a day: at this account from this address, at this account from anywhere, from this
address at any account. An address from which the account was signed in to of late answers for its own failures only,
so a distributed attack on an advisor does not reach the desk where the advisor sits, nor a colleague's mistakes there.
Accounts that do not exist are counted alike. The counts are rows of the database: they hold with everything else down.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from core.clock import now
from core.errors import TooMany
from database.queries import sign_ins as queries
from database.session import Session, advisory_lock

FREE_PAIR, FREE_ACCOUNT, FREE_ADDRESS = 5, 20, 50
WAIT_MAX = timedelta(minutes=15)
FAILURES_COUNT_FOR = timedelta(days=1)
FAMILIAR_FOR = timedelta(days=30)
SIGN_INS_KEPT_FOR = timedelta(days=90)
_PRUNED_EVERY = 100
_NETWORK_BITS = 64
_ADDRESS_CHARACTERS_MAX = 64


def admit(session: Session, *, email: str, address: str | None) -> int:
    """Let a try in, or TooMany with the seconds to wait; what is refused is not counted. The try's number.

    It stands as failed until `went_well` or `does_not_count` says otherwise.

    Tries at one account are counted one after the other and before the password is looked at, so that a hundred at
    once are no more than a hundred in turn.
    """
    at, email_hash, network = now(), _hash(email), network_of(address)
    advisory_lock(session, f"sign-in:{email_hash}")
    standing = queries.read_standing(
        session,
        email_hash=email_hash,
        address=network,
        failed_since=at - FAILURES_COUNT_FOR,
        familiar_since=at - FAMILIAR_FOR,
    )
    ends = [_wait_ends(standing.pair, FREE_PAIR)]
    if not standing.is_familiar:
        ends += [_wait_ends(standing.account, FREE_ACCOUNT), _wait_ends(standing.address, FREE_ADDRESS)]
    end = max((end for end in ends if end is not None), default=None)
    if end is not None and end > at:
        wait_s = ceil((end - at).total_seconds())
        raise TooMany(f"too many tries to sign in: wait {wait_s} seconds", retry_after_s=wait_s)
    attempt_id = queries.add_attempt(session, email_hash=email_hash, address=network, at=at)
    if attempt_id % _PRUNED_EVERY == 0:
        queries.prune(session, attempts_before=at - FAMILIAR_FOR, ended_before=at - SIGN_INS_KEPT_FOR)
    return attempt_id


def went_well(session: Session, attempt_id: int) -> None:
    """The try was good: from this address the account's failures are forgotten."""
    queries.attempt_succeeded(session, attempt_id=attempt_id)


def does_not_count(session: Session, attempt_id: int) -> None:
    """The try was neither good nor bad: half of what is asked for was right, and the other half is still to come."""
    queries.drop_attempt(session, attempt_id=attempt_id)


def locked_until(session: Session, *, email: str) -> datetime | None:
    """Until when addresses that the account does not know are kept waiting; None where they are not."""
    at = now()
    failures = queries.account_failures(session, email_hash=_hash(email), failed_since=at - FAILURES_COUNT_FOR)
    end = _wait_ends(failures, FREE_ACCOUNT)
    return end if end is not None and end > at else None


def forget_failures(session: Session, *, email: str) -> tuple[int, int]:
    """Let an account start afresh; how many failed tries that takes away, and from how many addresses they came."""
    return queries.forget_failures(session, email_hash=_hash(email))


def wait_after(failures: int, free: int) -> timedelta:
    """How long to wait after so many failures: not at all for the free ones, then 1, 2, 4 ... s, at most WAIT_MAX."""
    if failures < free:
        return timedelta(0)
    doublings = min(failures - free, WAIT_MAX.seconds.bit_length())
    return min(timedelta(seconds=2**doublings), WAIT_MAX)


def network_of(address: str | None) -> str:
    """What counts as one address: an IPv6 customer is given a whole /64 and could else try from each of it."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return (address or "unknown")[:_ADDRESS_CHARACTERS_MAX]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found.packed, _NETWORK_BITS), strict=False).network_address) + f"/{_NETWORK_BITS}"
    return str(found)


def _wait_ends(failures: queries.Failures, free: int) -> datetime | None:
    return None if failures.last_at is None else failures.last_at + wait_after(failures.count, free)


def _hash(email: str) -> str:
    """Some people type their password where the address belongs: not even that is kept as it was typed."""
    return sha256(email.strip().lower().encode()).hexdigest()
