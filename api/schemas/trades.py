"""The history of trades: every execution with what it cost, what it realised and why it was done."""

from pydantic import Field

from api.schemas.figures import Dollars
from api.schemas.fills import FillOut


class TradeOut(FillOut):
    """One execution with its client, cost, gain and reason."""

    client: str
    account: str
    recommendation_id: int | None
    instrument_id: int
    company: str
    sector: str | None
    notional_usd: Dollars = Field(description="Shares times price.")
    cost_usd: Dollars = Field(description="Commission, spread and impact together.")
    gain_usd: Dollars | None = Field(description="Realised by the lots that a sale closed; null for purchases.")
    strategy: str | None
    reason: str | None
    decided_by: str | None = Field(description="`autonomous`, or who approved it.")
