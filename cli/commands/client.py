"""`acis client`: add clients, list them, and change what their accounts may do."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from cli.arguments import JsonFlag, parse_date, parse_strategy
from cli.output import print_json, print_table, say
from clients.service import (
    PAPER_BOOK,
    ClientAccount,
    Opening,
    add_client,
    change_mandate,
    halt,
    lift_restriction,
    list_clients,
    restrict,
    resume,
    set_autonomous,
    upload_esg_flags,
)
from core.errors import InputError
from database.session import transaction
from market_data.service import latest_session, require_session
from strategies.library import STRATEGIES
from trading.service import open_paper_account

group = typer.Typer(no_args_is_help=True)
AccountArgument = Annotated[int, typer.Argument(help="Number of the account, as `acis client list` shows it.")]


@group.command("list")
def list_(
    book: Annotated[str, typer.Option(help="Book of accounts: paper, or a replay's.")] = PAPER_BOOK,
    as_json: JsonFlag = False,
) -> None:
    """Show every client's account with its mandate and restrictions."""
    with transaction() as session:
        accounts = list_clients(session, book=book)
    if as_json:
        print_json(accounts)
        return
    if not accounts:
        say(f"book {book!r} has no accounts yet; `acis client add NAME` opens one, `acis demo` makes three samples")
        return
    print_table(
        f"clients of book {book}",
        ["account", "client", "household", "tolerance", "status", "opened", ">start USD", "limits", "restrictions"],
        [_row(account) for account in accounts],
    )


def _row(account: ClientAccount) -> tuple[Any, ...]:
    mandate = account.mandate
    limits = (
        f"cash >= {mandate['cash_weight_min']:.0%}, stock <= {mandate['position_weight_max']:.0%},"
        f" sector <= {mandate['sector_weight_max']:.0%}, {mandate['preferred_strategy'] or 'strategy by regime'}"
    )
    status = account.status if account.autonomous else f"{account.status}, by approval"
    return (
        account.account_id,
        account.client,
        account.household,
        account.risk_tolerance,
        status,
        account.opened_on,
        f"{account.initial_cash_usd:,.2f}",
        limits,
        ", ".join(account.restrictions),
    )


@group.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The client's name.")],
    household: Annotated[str | None, typer.Option(help="Household; by default one of the client's own.")] = None,
    household_id: Annotated[int | None, typer.Option(help="Its number, where several bear the name.")] = None,
    risk_tolerance: Annotated[str, typer.Option(help="conservative, balanced or growth.")] = "balanced",
    cash: Annotated[str, typer.Option(help="Opening deposit in USD.")] = "1000000",
    opened_on: Annotated[str | None, typer.Option(help="First session (YYYY-MM-DD); default: the latest.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Preferred strategy; default: chosen by regime.")] = None,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    approval: Annotated[bool, typer.Option("--approval", help="Trade only what an advisor approved.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a client with a paper account and the tolerance's default mandate."""
    with transaction() as session:
        opened = parse_date(opened_on, "--opened-on") if opened_on else latest_session(session)
        _, account = add_client(
            session,
            household=household or (f"{name} household" if household_id is None else None),
            household_id=household_id,
            name=name,
            risk_tolerance=risk_tolerance,
            email=email,
            opening=Opening(
                opened_on=require_session(opened),
                initial_cash_usd=cash,
                limits={"preferred_strategy": parse_strategy(strategy)} if strategy else None,
                known_strategies=STRATEGIES,
                autonomous=not approval,
            ),
        )
        assert account is not None
        open_paper_account(session, account_id=account.account_id)
        account_id = account.account_id
    _answer({"account_id": account_id, "client": name, "opened_on": opened}, as_json)


@group.command("mandate")
def mandate(
    account_id: AccountArgument,
    changes: Annotated[list[str], typer.Argument(help="field=value ..., for instance cash_weight_min=0.05")],
    effective_on: Annotated[str, typer.Option(help="First session on which it counts (YYYY-MM-DD).")],
    as_json: JsonFlag = False,
) -> None:
    """Change limits of an account's mandate from a date on; `preferred_strategy=` takes the preference back."""
    wanted: dict[str, Any] = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"change is {change!r}: give field=value, for instance cash_weight_min=0.05")
        if field == "preferred_strategy":
            wanted[field] = parse_strategy(value) if value else None
        else:
            wanted[field] = value
    with transaction() as session:
        changed = change_mandate(
            session,
            account_id=account_id,
            effective_on=parse_date(effective_on, "--effective-on"),
            changes=wanted,
            known_strategies=STRATEGIES,
        )
        version = changed.version
    _answer({"account_id": account_id, "mandate_version": version}, as_json)


@group.command("restrict")
def restrict_(
    account_id: AccountArgument,
    kind: Annotated[str, typer.Argument(help="ticker, sector or esg.")],
    value: Annotated[str, typer.Argument(help="What the account must not hold.")],
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Forbid an account a ticker, a sector or an ESG flag; what it holds of it is sold on the next night."""
    with transaction() as session:
        added = restrict(session, account_id=account_id, kind=kind, value=value, reason=reason)
    _answer({"account_id": account_id, "restricted": f"{kind} {value}", "changed": added}, as_json)


@group.command("lift")
def lift(
    account_id: AccountArgument,
    kind: Annotated[str, typer.Argument(help="ticker, sector or esg.")],
    value: Annotated[str, typer.Argument(help="What the account may hold again.")],
    as_json: JsonFlag = False,
) -> None:
    """Take a restriction back."""
    with transaction() as session:
        removed = lift_restriction(session, account_id=account_id, kind=kind, value=value)
    _answer({"account_id": account_id, "lifted": f"{kind} {value}", "changed": removed}, as_json)


@group.command("autonomous")
def autonomous(
    account_id: AccountArgument,
    mode: Annotated[str, typer.Argument(help="on, off or pause.")],
    reason: Annotated[str | None, typer.Option(help="Why it pauses.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let the night trade an account by itself, by approval only, or not at present."""
    if mode not in {"on", "off", "pause"}:
        raise InputError(f"mode is {mode!r}: give on, off or pause")
    if mode == "pause" and not reason:
        raise InputError("--reason is missing: say why the account pauses")
    with transaction() as session:
        set_autonomous(
            session, account_id=account_id, enabled=mode != "off", paused_reason=reason if mode == "pause" else None
        )
    _answer({"account_id": account_id, "autonomous": mode}, as_json)


@group.command("halt")
def halt_(
    account_id: AccountArgument,
    reason: Annotated[str, typer.Option(help="Why trading stops.")],
    as_json: JsonFlag = False,
) -> None:
    """Stop all trading of an account."""
    with transaction() as session:
        halt(session, account_id=account_id, reason=reason)
    _answer({"account_id": account_id, "status": "halted"}, as_json)


@group.command("resume")
def resume_(account_id: AccountArgument, as_json: JsonFlag = False) -> None:
    """Let a halted account trade again."""
    with transaction() as session:
        resume(session, account_id=account_id)
    _answer({"account_id": account_id, "status": "active"}, as_json)


@group.command("esg-flags")
def esg_flags(
    file: Annotated[Path, typer.Argument(help="CSV with the columns symbol and flag.")],
    source: Annotated[str, typer.Option(help="Whose marks these are; replaces all flags of that source.")],
    as_json: JsonFlag = False,
) -> None:
    """Upload the firm's own ESG marks on stocks."""
    try:
        frame = pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"file {file} cannot be read as CSV: {error}") from error
    if not {"symbol", "flag"} <= set(frame.columns):
        raise InputError(f"file {file} has the columns {', '.join(frame.columns)}: it needs symbol and flag")
    rows = frame.select("symbol", "flag").drop_nulls().rows()
    with transaction() as session:
        upload = upload_esg_flags(session, source=source, flags=rows)
    _answer(
        {"added": upload.added, "removed": upload.removed, "unknown_symbols": upload.unknown_symbols},
        as_json,
    )


def _answer(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        say(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.items()))
