"""What several words of the practice share: names, notes, reasons, and how something stands."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.figures import Dollars, Figure, Fraction

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(max_length=4000)]
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
Usd = Annotated[Decimal, Field(max_digits=20, decimal_places=2)]


class Read(BaseModel):
    """Something that is shown."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Given(BaseModel):
    """Something that a caller sends; a field that nobody asked for is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Given):
    """Why."""

    reason: Name = Field(examples=["moved to another firm"])


class Standing(Read):
    """How one account stands, or several together; null where it is not known.

    Of several, value and cash are known when every account's are; the day's change is the sum of those known; return,
    drift and health are means over the accounts whose own is known, weighted by value.
    """

    session_on: date | None = Field(description="The session that these figures are of.")
    value_usd: Dollars | None
    cash_usd: Dollars | None
    day_change_usd: Dollars | None = Field(description="Against the session before.")
    year_return: Fraction | None = Field(description="Time-weighted, since the turn of the year; 0.05 is 5 %.")
    drift: Fraction | None = Field(
        description="Half the sum of the differences between actual and target weights, cash included."
    )
    off_plan_count: int | None = Field(description="Holdings that are off by more than the mandate's threshold.")
    health_score: Figure | None = Field(description="0 to 100.")
