"""Builder of one advisor's whole practice: a row of everything that tells of a client, marked to be known again."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.clock import now
from database.base import Base
from database.tables.accounts import Account, AutonomousSetting, Restriction
from database.tables.audit import AuditRecord
from database.tables.fills import Fill
from database.tables.holding_imports import HoldingImport
from database.tables.households import AdvisorAssignment, Client, Household
from database.tables.idempotency import IdempotencyKey
from database.tables.instruments import Instrument
from database.tables.jobs import JobEvent, QueuedJob
from database.tables.kill_switches import KillSwitch
from database.tables.ledger import JournalEntry, JournalLine
from database.tables.orders import Order, OrderEvent, PretradeCheck, Recommendation
from database.tables.positions import AccountValuation, LotClosing, Position, TaxLot
from database.tables.reports import Report
from database.tables.standings import AccountStanding
from database.tables.targets import Target
from tests.factories.accounts import create_mandate
from tests.factories.targets import create_target

SESSION = date(2017, 6, 30)
BEFORE = date(2017, 6, 29)


@dataclass(frozen=True)
class Practice:
    """The numbers of what was built, by the name of the column that holds them."""

    advisor_id: int
    word: str
    ids: dict[str, Any]


def create_practice(
    session: Session, *, advisor_id: int, word: str, symbol: str = "HELD", numbers_from: int | None = None
) -> Practice:
    """One household, client and account of the advisor with all that hangs on them; each text of theirs holds `word`.

    The account holds shares of `symbol`, which is made where there is none. With `numbers_from` every number of theirs
    is counted from there, so that it cannot be taken for another's.
    """
    before = _count_from(session, numbers_from) if numbers_from is not None else {}
    household = _put(session, Household(name=f"{word} family", note=f"{word} household note", created_by=advisor_id))
    client = _put(
        session,
        Client(
            household_id=household.household_id,
            name=f"{word} Person",
            email=f"{word}@client.example",
            phone=f"+1 {word}",
            note=f"{word} client note",
            risk_tolerance="balanced",
        ),
    )
    _put(session, AdvisorAssignment(advisor_id=advisor_id, client_id=client.client_id, start_on=date(2017, 1, 1)))
    account = _put(
        session,
        Account(
            client_id=client.client_id,
            name=f"{word} account",
            kind="paper",
            book="paper",
            opened_on=date(2017, 6, 1),
            initial_cash_usd=Decimal("1000000.00"),
        ),
    )
    mandate = create_mandate(session, account)
    ids = {
        "household_id": household.household_id,
        "client_id": client.client_id,
        "account_id": account.account_id,
        "mandate_id": mandate.mandate_id,
        **_rules(session, client, account, word),
        **_trades(session, account, _instrument(session, symbol), word),
        **_papers(session, client, account, advisor_id, word),
    }
    for sequence, value in before.items():
        session.execute(text("select setval(:sequence, :value)"), {"sequence": sequence, "value": value})
    return Practice(advisor_id=advisor_id, word=word, ids=ids)


# What a preview stores of a file with one bad row, which would change nothing.
_CHANGES = {
    "mode": "replace",
    "as_of": str(SESSION),
    "notes": [],
    "counts": {"ok": 0, "error": 1, "ignored": 0},
    "fingerprint": "",
    "arriving": [],
    "leaving": [],
    "holdings": [],
    "cash_usd": "998950.00",
    "value_before_usd": "1000000.00",
    "value_after_usd": "1000000.00",
    "breaches_before": [],
    "breaches_after": [],
}


def _imported_row(word: str) -> dict[str, Any]:
    errors = [{"field": "symbol", "value": word, "remedy": "write a ticker"}]
    return {
        "number": 2,
        "status": "error",
        "symbol": word,
        "quantity": None,
        "cost_usd": None,
        "opened_on": None,
        "errors": errors,
        "warnings": [],
    }


def _put(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def _count_from(session: Session, number: int) -> dict[str, int]:
    """Let every number that the database gives out start there; what the next ones would have been."""
    before = {}
    for table in Base.metadata.tables.values():
        for column in table.primary_key.columns:
            sequence = session.scalar(
                text("select pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            )
            if sequence is not None and column.type.python_type is int and "BIG" in str(column.type):
                before[sequence] = session.scalar(text("select nextval(:sequence)"), {"sequence": sequence})
                session.execute(text("select setval(:sequence, :number)"), {"sequence": sequence, "number": number})
    return {sequence: value for sequence, value in before.items() if value is not None}


def _rules(session: Session, client: Client, account: Account, word: str) -> dict[str, int]:
    key = account.account_id
    _put(session, Restriction(account_id=key, kind="ticker", value=word[:16], reason=f"{word} dislikes it"))
    _put(session, AutonomousSetting(account_id=key, enabled=True))
    switch = _put(
        session,
        KillSwitch(
            scope="client",
            client_id=client.client_id,
            reason=f"{word} is away",
            engaged_by="ann",
            released_by="ann",
            released_at=now(),
        ),
    )
    return {"kill_switch_id": switch.kill_switch_id}


def _instrument(session: Session, symbol: str) -> int:
    found = session.scalar(select(Instrument).where(Instrument.symbol == symbol))
    if found is None:
        found = _put(session, Instrument(symbol=symbol, name="Held by everybody", kind="stock", sector="Energy"))
    return int(found.instrument_id)


def _trades(session: Session, account: Account, instrument_id: int, word: str) -> dict[str, int]:
    key = account.account_id
    target = create_target(session, account, session_on=BEFORE, weights={instrument_id: Decimal("0.5")})
    bought = _order(session, target, instrument_id, word)
    shares, price = Decimal(100), Decimal("10.5")
    entry = _entry(session, key, word)
    lot = _put(
        session,
        TaxLot(
            account_id=key,
            instrument_id=instrument_id,
            fill_id=bought["fill_id"],
            opened_on=SESSION,
            quantity=shares,
            remaining=shares / 2,
            cost_usd=shares * price,
            remaining_cost_usd=shares * price / 2,
        ),
    )
    _put(
        session,
        LotClosing(
            lot_id=lot.lot_id,
            fill_id=bought["fill_id"],
            closed_on=SESSION,
            quantity=shares / 2,
            cost_usd=shares * price / 2,
            proceeds_usd=shares * price / 2,
            gain_usd=Decimal(0),
        ),
    )
    held = {"account_id": key, "instrument_id": instrument_id}
    _put(session, Position(**held, quantity=shares / 2, cost_usd=shares * price / 2))
    _put(
        session,
        AccountValuation(
            account_id=key, session_on=SESSION, cash_usd=Decimal("998950.00"), securities_usd=Decimal("1050.00")
        ),
    )
    _put(
        session,
        AccountStanding(
            account_id=key, session_on=SESSION, value_usd=Decimal("1000000.00"), cash_usd=Decimal("998950.00")
        ),
    )
    return {"target_id": target.target_id, "lot_id": lot.lot_id, "entry_id": entry, **bought}


def _order(session: Session, target: Target, instrument_id: int, word: str) -> dict[str, int]:
    shares, price = Decimal(100), Decimal("10.5")
    what = {"account_id": target.account_id, "instrument_id": instrument_id, "session_on": BEFORE, "side": "buy"}
    recommendation = _put(
        session,
        Recommendation(
            **what,
            target_id=target.target_id,
            quantity=shares,
            reference_price=price,
            weight_before=Decimal(0),
            weight_after=Decimal("0.5"),
            status="approved",
            reason=f"{word} needs it",
            decided_by="ann",
            decision_note=f"{word} said so",
        ),
    )
    _put(
        session,
        PretradeCheck(
            recommendation_id=recommendation.recommendation_id,
            rule="cash",
            passed=True,
            measured="1",
            allowed="2",
            reason=f"{word} has the cash",
        ),
    )
    order = _put(
        session,
        Order(
            **what,
            client_order_id=f"{word}-buy",
            recommendation_id=recommendation.recommendation_id,
            quantity=shares,
            filled_quantity=shares,
            state="filled",
            broker="paper",
        ),
    )
    _put(
        session,
        OrderEvent(order_id=order.order_id, at=now(), from_state=None, to_state="planned", evidence={"said": word}),
    )
    fill = _put(
        session,
        Fill(
            broker_fill_id=f"{word}-buy-1",
            order_id=order.order_id,
            session_on=SESSION,
            filled_at=now(),
            quantity=shares,
            market_price=price,
            price=price,
            commission_usd=Decimal(0),
            spread_cost_usd=Decimal(0),
            impact_cost_usd=Decimal(0),
        ),
    )
    return {
        "recommendation_id": recommendation.recommendation_id,
        "order_id": order.order_id,
        "fill_id": fill.fill_id,
    }


def _entry(session: Session, account_id: int, word: str) -> int:
    entry = _put(
        session,
        JournalEntry(
            account_id=account_id,
            booked_on=BEFORE,
            kind="deposit",
            source_key=f"{word} deposit",
            memo=f"{word} pays in",
        ),
    )
    for line, (ledger, amount) in enumerate((("cash", "1000000.00"), ("capital", "-1000000.00"))):
        _put(
            session,
            JournalLine(entry_id=entry.entry_id, line=line, ledger_account=ledger, amount_usd=Decimal(amount)),
        )
    key: int = entry.entry_id
    return key


def _papers(session: Session, client: Client, account: Account, advisor_id: int, word: str) -> dict[str, int]:
    job = _put(
        session,
        QueuedJob(
            name="report",
            payload={"client": word},
            status="succeeded",
            requested_by=advisor_id,
            actor="ann",
            client_id=client.client_id,
            account_id=account.account_id,
            is_private=True,
            result={"client": word},
            finished_at=now(),
        ),
    )
    event = JobEvent(job_id=job.job_id, seq=1, at=now(), kind="log", body={"text": f"{word} is read"})
    _put(session, event)
    report = _put(
        session,
        Report(
            client_id=client.client_id,
            job_id=job.job_id,
            from_on=BEFORE,
            to_on=SESSION,
            content={"client": word},
            page=f"<p>{word}</p>",
            created_by="ann",
        ),
    )
    brought = _put(
        session,
        HoldingImport(
            account_id=account.account_id,
            file_name=f"{word}.csv",
            content_sha256="0" * 64,
            status="previewed",
            rows=[_imported_row(word)],
            changes=_CHANGES | {"notes": [word]},
            created_by="ann",
        ),
    )
    _put(session, IdempotencyKey(user_id=advisor_id, key=f"{word}-1", fingerprint="0" * 64, status=200, body=b"{}"))
    _put(
        session,
        AuditRecord(
            at=now(),
            actor="ann",
            action="change",
            subject="client",
            subject_id=str(client.client_id),
            after={"name": f"{word} Person"},
        ),
    )
    return {
        "job_id": job.job_id,
        "event_id": event.event_id,
        "report_id": report.report_id,
        "holding_import_id": brought.holding_import_id,
    }
