"""Holdings from a file."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import Field

from api.schemas.figures import Dollars, Shares
from api.schemas.mandates import BreachOut
from api.schemas.practice import Given, Read

ImportStatus = Literal["previewed", "applied", "undone", "superseded"]
ImportMode = Literal["replace", "add"]
RowStatus = Literal["ok", "error", "ignored"]


class ImportCounts(Read):
    """Rows of the file by what came of reading them."""

    ok: int
    error: int
    ignored: int = Field(description="Cash, totals and footnotes.")


class ImportOut(Read):
    """One file for one account. `previewed`: nothing is booked; `superseded`: another file was looked at since."""

    import_id: int
    account_id: int
    account: str
    client_id: int
    client: str
    file_name: str
    status: ImportStatus
    mode: ImportMode
    counts: ImportCounts
    created_by: str
    created_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """The import of a row of the list."""
        columns = {name: getattr(row, name) for name in cls.model_fields if name not in {"import_id", "counts"}}
        return cls(import_id=row.holding_import_id, counts=ImportCounts(**row.counts), **columns)


class CellErrorOut(Read):
    """What is wrong with one cell."""

    field: str
    value: str
    remedy: str


class ImportRowOut(Read):
    """One row of the file."""

    number: int = Field(description="Its line in the file, the header's line counted.")
    status: RowStatus
    symbol: str
    quantity: Shares | None
    cost_usd: Dollars | None = Field(description="Of the whole lot.")
    opened_on: date | None = Field(description="Day of purchase, where the file tells it.")
    errors: list[CellErrorOut]
    warnings: list[str]


class HoldingChangeOut(Read):
    """One holding before and after."""

    symbol: str
    name: str
    change: Literal["added", "changed", "removed", "unchanged"]
    quantity_before: Shares
    quantity_after: Shares
    cost_before_usd: Dollars
    cost_after_usd: Dollars
    lots_before: int
    lots_after: int
    value_before_usd: Dollars | None
    value_after_usd: Dollars | None


class ImportShown(ImportOut):
    """What the file would change, or has changed: lots come and go at their original cost, cash stays as it is."""

    as_of: date = Field(description="Prices and mandate are those of this session.")
    lots_in: int
    lots_out: int
    holdings: list[HoldingChangeOut]
    cash_usd: Dollars
    cash_change_usd: Dollars
    value_before_usd: Dollars
    value_after_usd: Dollars
    breaches_before: list[BreachOut]
    breaches_after: list[BreachOut]
    notes: list[str]
    problem_rows: list[ImportRowOut] = Field(description="The first rows with mistakes; the others on their own list.")
    is_job: bool = Field(description="Whether booking it is work for a job, because it is large.")

    @classmethod
    def show(cls, row: Any, changes: Mapping[str, Any], problems: Sequence[Mapping[str, Any]], *, is_job: bool) -> Self:
        """The import with what it keeps."""
        kept = ("as_of", "holdings", "cash_usd", "value_before_usd", "value_after_usd")
        listed = ("breaches_before", "breaches_after", "notes")
        return cls.model_validate(
            {
                **ImportOut.of(row).model_dump(),
                **{name: changes[name] for name in (*kept, *listed)},
                "lots_in": len(changes["arriving"]),
                "lots_out": len(changes["leaving"]),
                "cash_change_usd": "0.00",
                "problem_rows": problems,
                "is_job": is_job,
            }
        )


class ImportApply(Given):
    """How to book it."""

    skip_errors: bool = Field(default=False, description="Book the good rows and leave those with mistakes out.")


class ImportApplied(Read):
    """The import after booking, or the job that books it."""

    job_id: int | None = Field(description="Where it is large: the job that books it; watch it at /jobs/{job_id}.")
    booked: ImportShown | None
