"""Contract of a broker, and what each broker can do as a table of capabilities."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from database.session import Session

# What an Answer may say of a ticket that no broker was called for.
WITHHELD, RECALLED = "withheld", "recalled"
STATUSES = frozenset({"accepted", "partial", "filled", "canceled", "rejected", "expired"})


@dataclass(frozen=True)
class Capabilities:
    """What a broker promises.

    `absence_proof_s`: an order that it cannot find so many seconds after the send was never there; None: absence
    proves nothing, a person must look. `remembers_client_ids`: a second send under the same id does not become a
    second order.
    """

    whole_shares_only: bool
    remembers_client_ids: bool
    absence_proof_s: int | None
    keeps_cash_floor: bool


@dataclass(frozen=True)
class Ticket:
    """An order as it goes out; `client_order_id` is ours and never changes."""

    client_order_id: str
    account_id: int
    instrument_id: int
    side: str
    quantity: Decimal


@dataclass(frozen=True)
class Answer:
    """The broker's reply to one ticket: `accepted`, `rejected`, or `unknown` where nothing can be concluded.

    To the wish to cancel: `canceled`, or `asked` where `find` will tell. WITHHELD and RECALLED are ours: a kill switch
    or a person stopped the ticket in the moment before the broker was called.
    """

    client_order_id: str
    status: str
    broker_order_id: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Execution:
    """One fill as the broker reports it; `price` holds spread and impact."""

    broker_fill_id: str
    session_on: date
    filled_at: datetime
    quantity: Decimal
    market_price: Decimal
    price: Decimal
    commission_usd: Decimal
    spread_cost_usd: Decimal
    impact_cost_usd: Decimal


@dataclass(frozen=True)
class BrokerOrder:
    """An order as the broker has it. `status` is one of STATUSES, or kept as it came and then treated as unknown."""

    client_order_id: str
    broker_order_id: str
    instrument_id: int
    side: str
    quantity: Decimal
    status: str
    executions: tuple[Execution, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)


class Broker(Protocol):
    """Where orders go. No method raises for a single order; Unreachable means that nothing was learned."""

    capabilities: Capabilities

    def submit(self, tickets: Sequence[Ticket]) -> list[Answer]:
        """Send the tickets, sales first; one answer each, in order. Never sends one twice."""
        ...

    def find(self, client_order_ids: Collection[str]) -> dict[str, BrokerOrder]:
        """The orders that the broker has under our ids, with all their executions so far."""
        ...

    def cancel(self, client_order_ids: Collection[str]) -> list[Answer]:
        """Ask to take the orders back; one answer each, in order. A fill may overtake the wish: `find` tells."""
        ...


class Connect(Protocol):
    """Makes a broker for one unit of work.

    `session` serves brokers that live in our own database; `open_until` is the last session that a simulated
    exchange may hold: a paper order of tonight must not see the day after tomorrow.
    """

    def __call__(self, session: Session, open_until: date) -> Broker: ...
