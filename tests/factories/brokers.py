"""A broker with a book of its own and faults to order: what a real one may do to us."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from core.errors import Unreachable
from database.session import Session
from trading.broker import Answer, BrokerOrder, Capabilities, Execution, Ticket


@dataclass
class FaultyBroker:
    """Remembers what it was sent, and answers as told.

    `silent`: takes the orders but the answer is lost; `deaf`: never gets them; `down`: no look-up works either;
    `hidden`: orders that a look-up does not show (a lagging list); `stubborn`: cancels nothing.
    """

    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            whole_shares_only=True, remembers_client_ids=True, absence_proof_s=0, keeps_cash_floor=False
        )
    )
    silent: bool = False
    deaf: bool = False
    down: bool = False
    rejects: set[int] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    stubborn: bool = False
    price: Decimal = Decimal("100.0000")
    session_on: date = date(2017, 7, 3)

    def __call__(self, session: Session, open_until: date) -> "FaultyBroker":
        """Connect: there is only one of it."""
        return self

    def submit(self, tickets: Sequence[Ticket]) -> list[Answer]:
        """Takes what it does not know yet."""
        if self.deaf:
            raise Unreachable("connection refused")
        answers = []
        for ticket in tickets:
            self.sent.append(ticket.client_order_id)
            if ticket.instrument_id in self.rejects:
                answers.append(Answer(ticket.client_order_id, "rejected", raw={"reason": "not today"}))
                continue
            self.orders.setdefault(
                ticket.client_order_id,
                BrokerOrder(
                    client_order_id=ticket.client_order_id,
                    broker_order_id=f"B{len(self.orders) + 1}",
                    instrument_id=ticket.instrument_id,
                    side=ticket.side,
                    quantity=ticket.quantity,
                    status="accepted",
                ),
            )
            answers.append(
                Answer(ticket.client_order_id, "accepted", self.orders[ticket.client_order_id].broker_order_id)
            )
        if self.silent:
            raise Unreachable("the connection was reset before the answer came")
        return answers

    def find(self, client_order_ids: Collection[str]) -> dict[str, BrokerOrder]:
        """What it knows and does not hide."""
        if self.down:
            raise Unreachable("gateway timeout")
        return {key: self.orders[key] for key in client_order_ids if key in self.orders and key not in self.hidden}

    def cancel(self, client_order_ids: Collection[str]) -> list[Answer]:
        """Takes the wish; what has filled stays filled."""
        if self.down:
            raise Unreachable("gateway timeout")
        self.cancels.extend(client_order_ids)
        for key in client_order_ids:
            if key in self.orders and self.orders[key].status in {"accepted", "partial"} and not self.stubborn:
                self.set_status(key, "canceled")
        return [Answer(key, "asked") for key in client_order_ids]

    def fill(self, client_order_id: str, quantity: Decimal, *, status: str, times: int = 1) -> None:
        """Execute a part; `times` reports the same execution more than once."""
        order = self.orders[client_order_id]
        execution = Execution(
            broker_fill_id=f"{order.broker_order_id}:{len(order.executions) + 1}",
            session_on=self.session_on,
            filled_at=datetime(2017, 7, 3, 13, 30, tzinfo=UTC),
            quantity=quantity,
            market_price=self.price,
            price=self.price,
            commission_usd=Decimal("1.00"),
            spread_cost_usd=Decimal("0.00"),
            impact_cost_usd=Decimal("0.00"),
        )
        self.orders[client_order_id] = replace(
            order, status=status, executions=(*order.executions, *([execution] * times))
        )

    def set_status(self, client_order_id: str, status: str) -> None:
        """Whatever it says now."""
        self.orders[client_order_id] = replace(self.orders[client_order_id], status=status)
