"""A page of any list."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from database.paging import Page as Rows
from database.paging import Row

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True)

    items: list[Item]
    next: str | None = Field(description="Cursor of the page after this one; null on the last.")
    total: int | None = Field(description="Rows in all, told on the first page only; null above 10,000.")

    @classmethod
    def of(cls, rows: Rows, make: Callable[[Row[Any]], Item]) -> Self:
        """The page that a query found, each row made into an item."""
        return cls(items=[make(row) for row in rows.rows], next=rows.next, total=rows.total)
