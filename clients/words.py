"""Words that people type: trimmed, of a bearable length, printable."""

import re

from core.errors import InputError

NAME_MAX = 200
NOTE_MAX = 4000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[0-9 ()./-]{3,38}")


def require_text(field: str, value: str) -> str:
    """The trimmed text; InputError for one that is empty, too long or holds control characters."""
    text = value.strip()
    if not text:
        raise InputError(f"{field} is empty: write something")
    _check(field, text, NAME_MAX)
    return text


def note_of(value: str | None) -> str | None:
    """A longer text, or None for nothing."""
    if value is None or not value.strip():
        return None
    _check("note", value, NOTE_MAX)
    return value.strip()


def email_of(value: str | None) -> str | None:
    """An e-mail address, or None for nothing."""
    if value is None or not value.strip():
        return None
    address = value.strip()
    _check("email", address, 254)
    if not _ADDRESS.fullmatch(address):
        raise InputError(f"email is {value!r}: give an address such as ada@home.example, or nothing")
    return address


def phone_of(value: str | None) -> str | None:
    """A telephone number, or None for nothing."""
    if value is None or not value.strip():
        return None
    if not _PHONE.fullmatch(value.strip()):
        raise InputError(f"phone is {value!r}: give digits, spaces and + ( ) . / - only, or nothing")
    return value.strip()


def _check(field: str, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise InputError(f"{field} has {len(text)} characters: give at most {length_max}")
    found = _UNPRINTABLE.search(text)
    if found:
        raise InputError(f"{field} holds the control character {found.group()!r}: take it out")
