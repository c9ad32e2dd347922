"""Passwords: what is good enough, how it is kept, how it is checked."""

import secrets
import string
import unicodedata
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.config import get_settings
from core.errors import InputError

CHARACTERS_MIN, CHARACTERS_MAX = 12, 200
_DISTINCT_MIN = 5
_NAME_PART_MIN = 4
# Argon2id as OWASP asks for at the least memory (19 MiB), at twice the passes: 45 ms here. More memory would be
# stronger, but several at a time must fit beside everything else in an API process of 250 MB.
_MEMORY_KIB, _PASSES = 19_456, 4
_AT_ONCE = BoundedSemaphore(2)

# What is left of the most used passwords once digits and signs around them and the usual disguises are taken away;
# shorter ones are refused by their length.
_COMMON_WORDS = """
    abcdefghijkl administrator admin azerty azertyuiop baseball changeme changemenow charlie default dragon
    football freedom hello iloveyou iloveyouforever letmein login master michael monkey mustang nothing pass
    password passwordpassword princess qazwsxedc qwer qwerty qwertyqwerty qwertyuiop qwertyuiopasdf qwertzuiop
    secret shadow sunshine superman temp temporary test thisisapassword trustno welcome welcomewelcome whatever
    yourpassword zaqwsxcde zxcvbnm acis advisor portfolio summer winter spring autumn january february march april
    may june july august september october november december monday tuesday wednesday thursday friday saturday
    sunday
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_DISGUISES = str.maketrans("@4301!5$7", "aaeoiisst")
_TRIMMINGS = string.digits + string.punctuation + " "
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)
# Without letters and digits that are read for one another.
_PLAIN = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("il1o0")))


def require_good_password(password: str, *, email: str, name: str) -> None:
    """InputError, with the remedy, for a password that is short, common, monotonous or the person's own name."""
    given = _spelled(password)
    if not CHARACTERS_MIN <= len(given) <= CHARACTERS_MAX:
        raise InputError(
            f"password has {len(given)} characters: choose {CHARACTERS_MIN} to {CHARACTERS_MAX}, such as four words"
        )
    lowered = given.lower()
    bare = lowered.strip(_TRIMMINGS)
    disguised = lowered.rstrip(_TRIMMINGS).translate(_DISGUISES).strip(_TRIMMINGS)
    if {bare, disguised} & (_COMMON | {""}):
        raise InputError("password is one of the most used, or figures alone: choose words that nobody expects")
    if len(set(lowered)) < _DISTINCT_MIN or any(bare in run or bare in run[::-1] for run in _RUNS):
        raise InputError("password repeats a few characters or follows the keyboard: choose words that nobody expects")
    own = (email.lower(), email.lower().partition("@")[0], *name.lower().split())
    letters = _letters(lowered)
    if any(len(part) >= _NAME_PART_MIN and _letters(part) and _is_mostly(_letters(part), letters) for part in own):
        raise InputError("password is little more than the person's name or address: choose words that nobody expects")


def hash_password(password: str) -> str:
    """What is kept of a password."""
    with _AT_ONCE:
        return _hasher().hash(_spelled(password))


def is_password(password: str, kept: str | None) -> bool:
    """Whether it is the password that was kept. Without one it takes as long and is not: nobody learns who exists."""
    with _AT_ONCE:
        try:
            return _hasher().verify(kept or _nobodys(), _spelled(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_weakly_kept(kept: str) -> bool:
    """Whether it was kept with other parameters than today's, so that it is due to be hashed anew."""
    return _hasher().check_needs_rehash(kept)


def make_temporary_password() -> str:
    """A random password to be handed over once: twenty characters, 98 bits, easy to read out."""
    return "-".join("".join(secrets.choice(_PLAIN) for _ in range(5)) for _ in range(4))


def _spelled(password: str) -> str:
    """One spelling of what may be typed in several ways on different keyboards (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def _is_mostly(part: str, whole: str) -> bool:
    return part in whole and 2 * len(part) >= len(whole)


@cache
def _hasher() -> PasswordHasher:
    if get_settings().environment == "test":
        return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))
