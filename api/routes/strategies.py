"""Strategies: the list, how each stands tonight, and which one each session followed."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query

from api.deps import AsOf, Cursor, Limit, desk, needs
from api.names import StrategyFilter, StrategyName
from api.schemas.page import Page
from api.schemas.strategies import ChoiceDetailOut, ChoiceOut, StrategyOut
from api.stretch import SessionOn
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.errors import NotFound, UnknownName
from database.queries.screens import newest_screened_on, rule_features, screen_heads
from database.queries.targets import find_choice, newest_choice, page_choices
from database.session import Session
from strategies.library import STRATEGIES

router = Word("strategies", tags=["strategies"])


@router.get("")
def list_strategies(as_of: AsOf = None, actor: Actor = needs("market.read")) -> list[StrategyOut]:
    """Every strategy: what it does, its plain rule, and how it stands on the newest night up to `as_of`."""
    with desk(actor) as session:
        return _strategies(session, as_of or practice_date(session))


@router.get("/choices")
def list_choices(
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Literal["session_on", "-session_on"] = "-session_on",
    strategy: StrategyFilter = None,
    regime: Annotated[str | None, Query(max_length=16, pattern="^[a-z_]+$", description="Of one regime.")] = None,
    as_of: AsOf = None,
    actor: Actor = needs("market.read"),
) -> Page[ChoiceOut]:
    """The strategy of each session and why, newest first."""
    with desk(actor) as session:
        found = page_choices(
            session,
            as_of=as_of or practice_date(session),
            strategy=strategy,
            regime=regime,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return Page[ChoiceOut].of(found, lambda row: ChoiceOut.model_validate(row.StrategyChoice))


@router.get("/choices/{session_on}")
def show_choice(session_on: SessionOn, actor: Actor = needs("market.read")) -> ChoiceDetailOut:
    """One session's choice with the regime, the strategy of the nights before, and what every strategy was worth."""
    with desk(actor) as session:
        choice = find_choice(session, session_on=session_on)
        if choice is None:
            raise NotFound("choice of session", session_on.isoformat())
        return ChoiceDetailOut.of(choice)


@router.get("/{name}")
def show_strategy(name: StrategyName, as_of: AsOf = None, actor: Actor = needs("market.read")) -> StrategyOut:
    """One strategy, as in the list."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    with desk(actor) as session:
        return next(one for one in _strategies(session, as_of or practice_date(session)) if one.name == name)


def _strategies(session: Session, as_of: date) -> list[StrategyOut]:
    screened_on = newest_screened_on(session, as_of=as_of)
    heads: list[Any] = [] if screened_on is None else screen_heads(session, session_on=screened_on)
    tonight = {head.ScoreBatch.strategy: head for head in heads}
    rules, choice = rule_features(session, as_of=as_of), newest_choice(session, as_of=as_of)
    return [
        StrategyOut.of(strategy, head=tonight.get(name), rule=rules.get(name, []), choice=choice)
        for name, strategy in STRATEGIES.items()
    ]
