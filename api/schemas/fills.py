"""Executions as the broker reported them."""

from datetime import date, datetime

from pydantic import Field

from api.schemas.figures import Dollars, PriceUsd, Shares
from api.schemas.practice import Read
from api.schemas.recommendations import Side


class FillOut(Read):
    """One execution."""

    fill_id: int
    broker_fill_id: str
    order_id: int
    account_id: int
    client_id: int
    symbol: str
    side: Side
    session_on: date
    filled_at: datetime
    quantity: Shares
    market_price: PriceUsd = Field(description="The market's price before spread and impact.")
    price: PriceUsd = Field(description="What was paid or received a share, spread and impact included.")
    commission_usd: Dollars
    spread_cost_usd: Dollars
    impact_cost_usd: Dollars
