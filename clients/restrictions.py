"""What accounts must not hold: tickers, sectors, and stocks that carry one of the firm's own ESG flags."""

from collections.abc import Sequence
from dataclasses import dataclass

from auth.audit import record
from clients.accounts import require_account, require_open_account
from clients.words import require_text
from core.errors import InputError, UnknownName
from database.queries import accounts as queries
from database.session import Session
from database.tables.accounts import Restriction

RESTRICTION_KINDS = ("ticker", "sector", "esg")
_FLAG_MAX = 64
_SYMBOL_MAX = 16


@dataclass(frozen=True)
class FlagUpload:
    """What an upload of ESG flags changed."""

    added: int
    removed: int
    unknown_symbols: list[str]


@dataclass(frozen=True)
class Choices:
    """What may be restricted; tickers are looked up by the search over instruments."""

    sectors: list[str]
    esg_flags: list[str]


def restrictions_of(session: Session, *, account_id: int) -> list[Restriction]:
    """What the account must not hold."""
    require_account(session, account_id=account_id)
    return queries.restrictions_of(session, account_ids=[account_id]).get(account_id, [])


def restriction_choices(session: Session) -> Choices:
    """The sectors and ESG flags that instruments carry."""
    return Choices(sectors=queries.known_sectors(session), esg_flags=queries.known_esg_flags(session))


def restrict(
    session: Session, *, account_id: int, kind: str, value: str, reason: str | None = None, actor: str = "operator"
) -> bool:
    """Forbid a ticker, a sector or an ESG flag to the account; False where it was forbidden already."""
    require_open_account(session, account_id=account_id)
    value = _restriction_value(session, kind, value)
    reason = None if reason is None else require_text("reason", reason)
    added = queries.add_restriction(session, account_id=account_id, kind=kind, value=value, reason=reason)
    if added:
        after = {"kind": kind, "value": value, "reason": reason}
        record(session, actor=actor, action="add", subject="restriction", subject_id=account_id, after=after)
    return added


def lift_restriction(session: Session, *, account_id: int, kind: str, value: str, actor: str = "operator") -> bool:
    """Allow it again; False where it was not forbidden."""
    require_account(session, account_id=account_id)
    if kind == "ticker":
        value = _symbol(value)
    removed = queries.remove_restriction(session, account_id=account_id, kind=kind, value=value)
    if removed:
        before = {"kind": kind, "value": value}
        record(session, actor=actor, action="remove", subject="restriction", subject_id=account_id, before=before)
    return removed


def upload_esg_flags(
    session: Session, *, source: str, flags: Sequence[tuple[str, str]], actor: str = "operator"
) -> FlagUpload:
    """Replace all flags of `source` by `flags` (symbol, flag); symbols that no instrument carries are told."""
    source = _short("source", source)
    pairs = [(_symbol(symbol), _short("flag", flag)) for symbol, flag in flags]
    ids = queries.instrument_ids_by_symbol(session, symbols={symbol for symbol, _ in pairs})
    unknown = sorted({symbol for symbol, _ in pairs if symbol not in ids})
    added, removed = queries.replace_esg_flags(
        session, source=source, flags=[(ids[symbol], flag) for symbol, flag in pairs if symbol in ids]
    )
    if added or removed:
        after = {"added": added, "removed": removed, "unknown_symbols": unknown}
        record(session, actor=actor, action="upload", subject="esg_flags", subject_id=source, after=after)
    return FlagUpload(added=added, removed=removed, unknown_symbols=unknown)


def _restriction_value(session: Session, kind: str, value: str) -> str:
    if kind not in RESTRICTION_KINDS:
        raise UnknownName("restriction kind", kind, RESTRICTION_KINDS)
    value = _short("value", value)
    if kind == "ticker":
        value = _symbol(value)
        if not queries.instrument_ids_by_symbol(session, symbols=[value]):
            raise InputError(f"value is {value!r}, and no instrument has that ticker: check its spelling (BRK-B)")
    elif kind == "sector":
        sectors = queries.known_sectors(session)
        found = [sector for sector in sectors if sector.lower() == value.lower()]
        if not found:
            raise UnknownName("sector", value, sectors)
        value = found[0]
    return value


def _symbol(text: str) -> str:
    symbol = require_text("symbol", text).upper().replace(".", "-")
    if len(symbol) > _SYMBOL_MAX:
        raise InputError(f"symbol is {symbol[:20]!r}..., longer than any: check its spelling (BRK-B)")
    return symbol


def _short(field: str, text: str) -> str:
    found = require_text(field, text)
    if len(found) > _FLAG_MAX:
        raise InputError(f"{field} has {len(found)} characters: give at most {_FLAG_MAX}")
    return found
