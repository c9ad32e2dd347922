"""Mandates and restrictions: what an account may and must not do."""

from collections.abc import Iterable
from csv import DictReader
from csv import Error as CsvError
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from api.deps import desk, needs
from api.match import OUTDATED, IfMatch, require_match, tell_etag
from api.schemas.mandates import (
    ChoicesOut,
    FlagsOut,
    LimitsOut,
    MandateChange,
    MandateOut,
    MandatePreview,
    RestrictionIn,
    RestrictionOut,
)
from api.uploads import File, takes_file
from auth.actor import Actor
from auth.audit import look
from clients import service
from clients.mandate import DEFAULT_LIMITS
from core.errors import InputError, NotFound
from strategies.library import STRATEGIES

router = APIRouter(tags=["mandates"])
FLAGS_BYTES_MAX = 5_000_000


@router.get("/mandates/defaults")
def list_mandate_defaults(actor: Actor = needs("clients.read")) -> dict[str, LimitsOut]:  # noqa: ARG001
    """The limits that a new account gets, by its client's risk tolerance."""
    return {name: LimitsOut.model_validate(limits) for name, limits in DEFAULT_LIMITS.items()}


@router.get("/accounts/{account_id}/mandate")
def show_mandate(account_id: int, response: Response, actor: Actor = needs("clients.read")) -> MandateOut:
    """The newest version, in force already or from its day on."""
    with desk(actor) as session:
        mandate = service.mandate_of(session, account_id=account_id)
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        tell_etag(response, _etag(mandate.version))
        return MandateOut.model_validate(mandate)


@router.get("/accounts/{account_id}/mandate/versions")
def list_mandate_versions(account_id: int, actor: Actor = needs("clients.read")) -> list[MandateOut]:
    """Every version of the account's mandate, newest first."""
    with desk(actor) as session:
        versions = service.mandate_history(session, account_id=account_id)
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        return [MandateOut.model_validate(version) for version in versions]


@router.post("/accounts/{account_id}/mandate/preview")
def preview_mandate(account_id: int, given: MandateChange, actor: Actor = needs("clients.read")) -> MandatePreview:
    """What a change would mean: which limits the account breaks as it stands, and which it would break. No effect."""
    with desk(actor) as session:
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        preview = service.preview_mandate(
            session,
            account_id=account_id,
            changes=given.changes(),
            known_strategies=STRATEGIES,
            as_of=service.practice_date(session),
        )
        return MandatePreview.model_validate(preview)


@router.patch("/accounts/{account_id}/mandate", responses=OUTDATED)
def change_mandate(
    account_id: int,
    given: MandateChange,
    response: Response,
    if_match: IfMatch = None,
    actor: Actor = needs("clients.write"),
) -> MandateOut:
    """A new version with some limits changed; where nothing would change, the version that stands."""
    with desk(actor) as session:
        service.require_open_account(session, account_id=account_id, is_locked=True)
        standing = service.mandate_of(session, account_id=account_id)
        require_match(if_match, _etag(standing.version), "mandate of account", account_id)
        mandate = service.change_mandate(
            session,
            account_id=account_id,
            effective_on=given.effective_on or max(service.practice_date(session), standing.effective_on),
            changes=given.changes(),
            known_strategies=STRATEGIES,
            actor=actor.email,
        )
        tell_etag(response, _etag(mandate.version))
        return MandateOut.model_validate(mandate)


@router.get("/accounts/{account_id}/restrictions")
def list_restrictions(account_id: int, actor: Actor = needs("clients.read")) -> list[RestrictionOut]:
    """What the account must not hold."""
    with desk(actor) as session:
        rows = service.restrictions_of(session, account_id=account_id)
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        return [RestrictionOut.model_validate(row) for row in rows]


@router.post("/accounts/{account_id}/restrictions", status_code=201)
def add_restriction(
    account_id: int, given: RestrictionIn, actor: Actor = needs("clients.write")
) -> list[RestrictionOut]:
    """Forbid a ticker, a sector or an ESG flag; what stands already stays as it is."""
    with desk(actor) as session:
        service.restrict(session, account_id=account_id, **given.model_dump(), actor=actor.email)
        rows = service.restrictions_of(session, account_id=account_id)
        return [RestrictionOut.model_validate(row) for row in rows]


@router.delete("/accounts/{account_id}/restrictions/{kind}/{value:path}")
def remove_restriction(
    account_id: int,
    kind: Literal["ticker", "sector", "esg"],
    value: Annotated[str, Path(min_length=1, max_length=64)],
    actor: Actor = needs("clients.write"),
) -> list[RestrictionOut]:
    """Allow it again."""
    with desk(actor) as session:
        if not service.lift_restriction(session, account_id=account_id, kind=kind, value=value, actor=actor.email):
            raise NotFound(f"{kind} restriction", value)
        rows = service.restrictions_of(session, account_id=account_id)
        return [RestrictionOut.model_validate(row) for row in rows]


@router.get("/restrictions/choices")
def list_restriction_choices(actor: Actor = needs("clients.read")) -> ChoicesOut:
    """What may be restricted."""
    with desk(actor) as session:
        return ChoicesOut.model_validate(service.restriction_choices(session), from_attributes=True)


@router.put("/esg-flags/{source}", openapi_extra=takes_file("symbol,flag\nMO,tobacco\n", bytes_max=FLAGS_BYTES_MAX))
def replace_esg_flags(
    source: Annotated[str, Path(min_length=1, max_length=64)], file: File, actor: Actor = needs("admin.write")
) -> FlagsOut:
    """Upload the firm's own marks on stocks (columns symbol and flag); they replace all that `source` said before."""
    flags = list(_read_flags(file.content))
    with desk(actor) as session:
        done = service.upload_esg_flags(session, source=source, flags=flags, actor=actor.email)
        return FlagsOut(source=source, added=done.added, removed=done.removed, unknown_symbols=done.unknown_symbols)


def _read_flags(body: bytes) -> Iterable[tuple[str, str]]:
    try:
        rows = DictReader(body.decode("utf-8-sig").splitlines(), strict=True)
        names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        if not {"symbol", "flag"} <= set(names):
            raise InputError(f"the file has the columns {', '.join(names) or 'none'}: it needs symbol and flag")
        for row in rows:
            symbol, flag = row[names["symbol"]], row[names["flag"]]
            if (symbol or "").strip() and (flag or "").strip():
                yield symbol, flag
    except (UnicodeDecodeError, CsvError) as error:
        raise InputError(f"the file cannot be read as CSV in UTF-8: {error}") from error


def _etag(version: int) -> str:
    return f'"v{version}"'
