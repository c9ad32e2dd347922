"""Portfolios of clients, accounts and households: what is held, how it went, how far it is from plan, how healthy.

The three have the same pages; `_PAGES` lists them, and each is a route of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel

from api import portfolios as shapes
from api import sheets
from api.deps import AsOf, desk, needs
from api.schemas import portfolio as out
from api.snapshots import ANSWERS, IfNoneMatch, answer_snapshot, look_at
from api.word import Word
from auth.actor import Actor
from database.session import Session
from portfolios import service
from portfolios.service import Kind, View

router = Word("portfolio", tags=["portfolio"])

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


@dataclass(frozen=True)
class Wanted:
    """Whose portfolio somebody asks for, as of when."""

    kind: Kind
    key: int
    as_of: date | None


@dataclass(frozen=True)
class LotFilter:
    """Which lots."""

    status: Literal["open", "closed"]
    year: int | None


def _client(client_id: Id, as_of: AsOf = None) -> Wanted:
    return Wanted("client", client_id, as_of)


def _account(account_id: Id, as_of: AsOf = None) -> Wanted:
    return Wanted("account", account_id, as_of)


def _household(household_id: Id, as_of: AsOf = None) -> Wanted:
    return Wanted("household", household_id, as_of)


def _lots(
    status: Annotated[Literal["open", "closed"], Query(description="Open lots, or what sales closed.")] = "open",
    year: Annotated[
        int | None,
        Query(ge=1900, le=2200, description="Of closed lots the year of the sale, of open ones of the purchase."),
    ] = None,
) -> LotFilter:
    return LotFilter(status, year)


def _summary(session: Session, view: View) -> BaseModel:
    """The head of a page in one call: totals, returns, drift, health, accounts."""
    return shapes.summary_of(view, service.read_summary(session, view))


def _holdings(session: Session, view: View) -> BaseModel:
    """What is held, largest first."""
    return shapes.holdings_of(view, service.read_holdings(session, view))


def _allocation(session: Session, view: View) -> BaseModel:
    """Where the money is: by sector, by strategy, cash, beside what the target asks for."""
    return shapes.allocation_of(view, service.read_allocation(session, view))


def _performance(session: Session, view: View) -> BaseModel:
    """Time- and money-weighted returns by period, against index and equal weight; risk; months; the path itself."""
    return shapes.performance_of(view, service.read_performance(session, view))


def _drift(session: Session, view: View) -> BaseModel:
    """How far each holding is from its target, and which trades would remove that."""
    return shapes.drift_of(view, service.read_drift(session, view))


def _health(session: Session, view: View) -> BaseModel:
    """The health score, its components, and what would improve it by how much."""
    return shapes.health_of(view, service.read_health(session, view))


Make = Callable[[Session, View], BaseModel]
_WHOSE: tuple[tuple[str, Kind, Any], ...] = (
    ("clients", "client", Depends(_client)),
    ("accounts", "account", Depends(_account)),
    ("households", "household", Depends(_household)),
)
_PAGES: tuple[tuple[str, str, str, type[BaseModel], Make], ...] = (
    ("", "show", "portfolio", out.SummaryOut, _summary),
    ("/holdings", "list", "holdings", out.HoldingsOut, _holdings),
    ("/allocation", "show", "allocation", out.AllocationOut, _allocation),
    ("/performance", "show", "performance", out.PerformanceOut, _performance),
    ("/drift", "show", "drift", out.DriftOut, _drift),
    ("/health", "show", "health", out.HealthOut, _health),
)


def _page(asked: Any, part: str, make: Make) -> Callable[..., Response]:
    def show(
        wanted: Wanted = asked, if_none_match: IfNoneMatch = None, actor: Actor = needs("portfolio.read")
    ) -> Response:
        return _answer(actor, wanted, part, if_none_match, make)

    return show


def _answer(actor: Actor, wanted: Wanted, part: str, if_none_match: str | None, make: Make) -> Response:
    return answer_snapshot(
        actor,
        kind=wanted.kind,
        key=wanted.key,
        as_of=wanted.as_of,
        part=part,
        if_none_match=if_none_match,
        make=make,
    )


def _lot_page(asked: Any) -> Callable[..., Response]:
    def show(
        wanted: Wanted = asked,
        lots: LotFilter = Depends(_lots),
        if_none_match: IfNoneMatch = None,
        actor: Actor = needs("portfolio.read"),
    ) -> Response:
        def make(session: Session, view: View) -> BaseModel:
            found = service.read_lots(session, view, status=lots.status, year=lots.year)
            return shapes.lots_of(view, found, status=lots.status, year=lots.year)

        return _answer(actor, wanted, f"lots-{lots.status}-{lots.year}", if_none_match, make)

    return show


def _holding_file(asked: Any) -> Callable[..., Response]:
    def export(wanted: Wanted = asked, actor: Actor = needs("portfolio.read")) -> Response:
        with desk(actor) as session:
            view = look_at(session, actor, kind=wanted.kind, key=wanted.key, as_of=wanted.as_of)
            found = service.read_holdings(session, view)
        name = shapes.file_name(view, "holdings")
        return sheets.csv_response(name, shapes.HOLDING_COLUMNS, shapes.holding_cells(found))

    return export


def _lot_file(asked: Any) -> Callable[..., Response]:
    def export(
        wanted: Wanted = asked,
        lots: LotFilter = Depends(_lots),
        actor: Actor = needs("portfolio.read"),
    ) -> Response:
        with desk(actor) as session:
            view = look_at(session, actor, kind=wanted.kind, key=wanted.key, as_of=wanted.as_of)
            found = service.read_lots(session, view, status=lots.status, year=lots.year)
        return sheets.csv_response(
            shapes.file_name(view, f"lots-{lots.status}"), shapes.LOT_COLUMNS, shapes.lot_cells(found)
        )

    return export


def _add_routes() -> None:
    for plural, kind, asked in _WHOSE:
        place = f"/{plural}/{{{kind}_id}}"
        for path, verb, word, model, make in _PAGES:
            router.add_api_route(
                place + path,
                _page(asked, word, make),
                name=f"{verb}_{kind}_{word}",
                description=make.__doc__,
                response_model=model,
                responses=ANSWERS,
            )
        router.add_api_route(
            f"{place}/lots",
            _lot_page(asked),
            name=f"list_{kind}_lots",
            description="Tax lots with holding period and gain.",
            response_model=out.LotsOut,
            responses=ANSWERS,
        )
        for word, file in (("holdings", _holding_file(asked)), ("lots", _lot_file(asked))):
            router.add_api_route(
                f"{place}/{word}.csv",
                file,
                name=f"export_{kind}_{word}",
                description=f"The {word} as a file for a spreadsheet.",
                response_class=Response,
                responses=sheets.ANSWERS,
            )


_add_routes()


@router.get("/clients/{client_id}/peers")
def show_client_peers(client_id: Id, actor: Actor = needs("portfolio.read")) -> out.PeersOut:
    """Where the client's health stands among the firm's, without telling of any other client."""
    with desk(actor) as session:
        look_at(session, actor, kind="client", key=client_id, as_of=None)
        found = service.read_peers(session, client_id=client_id)
        return out.PeersOut(client_id=client_id, peers=found.peers, below=found.below, why=found.why)


@router.get("/practice", response_model=out.PracticeOut, responses=ANSWERS)
def show_practice(if_none_match: IfNoneMatch = None, actor: Actor = needs("portfolio.read")) -> Response:
    """Assets under management, who is off plan, the day's change and the value against the index: the desk's home.

    Sums over the clients that the caller may see.
    """

    def make(session: Session, view: View) -> BaseModel:
        return shapes.practice_of(*service.read_practice(session, view))

    return answer_snapshot(
        actor, kind="practice", key=None, as_of=None, part="practice", if_none_match=if_none_match, make=make
    )
