"""Orders and their timelines."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas.figures import PriceUsd, Shares
from api.schemas.fills import FillOut
from api.schemas.practice import Given, Name, Read
from api.schemas.recommendations import Side

OrderState = Literal[
    "planned",
    "intent",
    "sending",
    "accepted",
    "partial",
    "filled",
    "canceled",
    "rejected",
    "expired",
    "unknown",
    "external",
]


class OrderOut(Read):
    """One order."""

    order_id: int
    client_order_id: str = Field(description="Our id at the broker; it never changes.")
    recommendation_id: int | None
    account_id: int
    account: str
    client_id: int
    client: str
    instrument_id: int
    symbol: str
    company: str
    strategy: str | None
    session_on: date = Field(description="The night that made it; it is meant for the next open.")
    side: Side
    quantity: Shares
    filled_quantity: Shares
    average_price: PriceUsd | None = Field(description="Of what is filled, spread and impact included.")
    reference_price: PriceUsd | None = Field(description="The close that it was decided at.")
    decided_by: str | None
    state: OrderState = Field(
        description="`intent`: approved, not sent. `unknown`: the broker's answer was lost and is being asked for."
    )
    broker: str
    broker_order_id: str | None
    cancel_asked_by: str | None
    cancel_asked_at: datetime | None
    created_at: datetime
    changed_at: datetime


class OrderStepOut(Read):
    """One step of an order's life."""

    at: datetime
    from_state: OrderState | None
    to_state: OrderState
    meaning: str
    because: str | None
    evidence: dict[str, Any]


class OrderShown(OrderOut):
    """One order with its timeline and fills."""

    waits_because: str | None = Field(description="The kill switch that holds it back.")
    timeline: list[OrderStepOut]
    fills: list[FillOut]


class CancelIn(Given):
    """A wish to take an order back."""

    reason: Name | None = Field(default=None, examples=["the client called"])


class CancelOut(Read):
    """How far the wish has come."""

    order_id: int
    state: OrderState = Field(description="`canceled`: no broker had it. Otherwise the broker is asked by the job.")
    job_id: int | None
