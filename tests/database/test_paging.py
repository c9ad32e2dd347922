"""Pages by keyset: each row once and in order, whatever the sort, the size of a page and what is added meanwhile."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Date, DateTime, Float, Integer, MetaData, Numeric, String, Table, select
from sqlalchemy.orm import Session

from core.errors import InputError
from database.paging import Page, read_page

THINGS = Table(
    "things",
    MetaData(),
    Column("thing_id", BigInteger, primary_key=True),
    Column("name", String),
    Column("amount", Numeric(12, 4)),
    Column("score", Float),
    Column("day", Date),
    Column("at", DateTime(timezone=True)),
    Column("rank", Integer, nullable=False),
    prefixes=["temporary"],
)
LABELS = Table(
    "labels",
    THINGS.metadata,
    Column("rank", Integer, primary_key=True),
    Column("label", String),
    prefixes=["temporary"],
)
SORTS: dict[str, Any] = {name: THINGS.c[name] for name in ("name", "amount", "score", "day", "at", "rank", "thing_id")}
# Few values, so that ties are the rule; NULLs among them.
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | st.sampled_from(["", "a", "B", "b", "é", "%", "'"]),
            "amount": st.none()
            | st.sampled_from([Decimal("-1.5"), Decimal(0), Decimal("0.0001"), Decimal("99999999")]),
            "score": st.none() | st.sampled_from([-1e300, -0.1, 0.0, 0.1 + 0.2, 1e-300]),
            "rank": st.integers(1, 3),
            "day": st.none() | st.dates(date(2020, 1, 1), date(2020, 1, 3)),
            "at": st.none()
            | st.sampled_from([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 0, 0, 1, UTC)]),
        }
    ),
    max_size=25,
)
SORT = st.builds(lambda sign, name: f"{sign}{name}", st.sampled_from(["", "-"]), st.sampled_from(sorted(SORTS)))


@pytest.fixture
def things(session: Session) -> Iterator[Session]:
    """An empty table of every kind of column."""
    THINGS.metadata.create_all(session.connection())
    session.execute(LABELS.insert(), [{"rank": 1, "label": "first"}, {"rank": 3, "label": None}])
    yield session
    session.rollback()


def put(session: Session, rows: list[dict[str, Any]]) -> None:
    session.execute(THINGS.delete())
    if rows:
        session.execute(THINGS.insert(), [{"thing_id": number, **row} for number, row in enumerate(rows, 1)])


def read(session: Session, sort: str, limit: int, cursor: str | None = None, *, joined: bool = False) -> Page:
    query = select(THINGS.c.thing_id)
    sorts = SORTS
    if joined:
        query = query.add_columns(LABELS.c.label).join(LABELS, LABELS.c.rank == THINGS.c.rank, isouter=True)
        sorts = {**SORTS, "label": LABELS.c.label}
    return read_page(session, query, sorts=sorts, key=THINGS.c.thing_id, sort=sort, limit=limit, cursor=cursor)


def walk(session: Session, sort: str, limit: int, *, joined: bool = False) -> Iterator[list[int]]:
    cursor = None
    while True:
        page = read(session, sort, limit, cursor, joined=joined)
        yield [row.thing_id for row in page.rows]
        if page.next is None:
            return
        cursor = page.next


def in_order(session: Session, sort: str) -> list[int]:
    """What the database itself says of the order, in one go."""
    column, key = THINGS.c[sort.removeprefix("-")], THINGS.c.thing_id
    down = sort.startswith("-")
    order = [(column.desc() if down else column.asc()).nulls_last(), key.desc() if down else key.asc()]
    return list(session.scalars(select(key).order_by(*order)))


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


class TestReadPage:
    @SHARED
    @given(rows=ROWS, sort=SORT, limit=st.integers(1, 8), joined=st.booleans())
    def test_every_row_once_and_in_order(
        self, things: Session, rows: list[dict[str, Any]], sort: str, limit: int, joined: bool
    ) -> None:
        put(things, rows)
        pages = list(walk(things, sort, limit, joined=joined))
        assert [number for page in pages for number in page] == in_order(things, sort)
        assert all(len(page) == limit for page in pages[:-1])
        assert len(rows) == 0 or pages[-1]

    @SHARED
    @given(rows=ROWS, down=st.booleans(), limit=st.integers(1, 8))
    def test_sorted_by_what_stands_beside_a_row(
        self, things: Session, rows: list[dict[str, Any]], down: bool, limit: int
    ) -> None:
        """A column of another table that not every row has, though it is a column that takes a value always."""
        put(things, rows)
        seen = [number for page in walk(things, "-label" if down else "label", limit, joined=True) for number in page]
        with_label = [number for number, row in enumerate(rows, 1) if row["rank"] == 1]
        without = [number for number, row in enumerate(rows, 1) if row["rank"] != 1]
        assert seen == (with_label[::-1] + without[::-1] if down else with_label + without)

    @SHARED
    @given(rows=ROWS, added=ROWS, sort=SORT, limit=st.integers(1, 5))
    def test_what_is_added_meanwhile_disturbs_nobody(
        self, things: Session, rows: list[dict[str, Any]], added: list[dict[str, Any]], sort: str, limit: int
    ) -> None:
        """Rows that were there from the start come once each and in order; a new one comes at most once."""
        put(things, rows)
        before = in_order(things, sort)
        seen: list[int] = []
        fresh = iter([{"thing_id": 1_000 + number, **row} for number, row in enumerate(added)])
        for page in walk(things, sort, limit):
            seen += page
            row = next(fresh, None)
            if row is not None:
                things.execute(THINGS.insert(), [row])
        assert [number for number in seen if number < 1_000] == before
        assert len(seen) == len(set(seen))

    @SHARED
    @given(rows=ROWS, sort=SORT, limit=st.integers(1, 8))
    def test_total_is_told_once(self, things: Session, rows: list[dict[str, Any]], sort: str, limit: int) -> None:
        put(things, rows)
        first = read(things, sort, limit)
        assert first.total == len(rows)
        if first.next is not None:
            assert read(things, sort, limit, first.next).total is None

    def test_no_count_of_millions(self, things: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("database.paging.COUNTED_MAX", 3)
        put(things, [{"name": "a", "rank": 1}] * 3)
        assert read(things, "name", 2).total == 3
        put(things, [{"name": "a", "rank": 1}] * 4)
        assert read(things, "name", 2).total is None


ANYTHING = st.none() | st.text() | st.integers() | st.floats() | st.booleans()


def cursor_of(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


class TestCursor:
    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "nonsense",
            "====",
            "ä",
            base64.urlsafe_b64encode(b"\xff\xfe").decode(),
            base64.urlsafe_b64encode(b"[" * 900).decode(),
            cursor_of(),
            cursor_of("amount"),
            cursor_of("amount", "1", 1, 1),
            cursor_of("amount", "1", None),
            cursor_of("amount", "one", 1),
            cursor_of("amount", [1], 1),
            cursor_of("amount", "1", "1; drop table things"),
            cursor_of("amount", {"a": 1}, 1),
            cursor_of("-amount", "1", 1),
            cursor_of("name", "1", 1),
        ],
    )
    def test_what_is_not_ours_is_refused_with_a_remedy(self, things: Session, cursor: str) -> None:
        with pytest.raises(InputError, match="cursor"):
            read(things, "amount", 2, cursor)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
    @given(
        content=st.tuples(
            SORT,
            st.none() | st.text() | st.integers() | st.floats() | st.booleans(),
            st.none() | st.integers() | st.text(),
        ),
        sort=SORT,
    )
    def test_made_up_ones_never_break_anything(self, things: Session, content: tuple[Any, ...], sort: str) -> None:
        try:
            page = read(things, sort, 2, cursor_of(*content))
        except InputError:
            return
        assert page.rows == []

    def test_unknown_sort_names_the_known(self, things: Session) -> None:
        with pytest.raises(InputError, match="amount, at, day, name, rank, score, thing_id"):
            read(things, "colour", 2)
