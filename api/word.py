"""The routes of one word, found by the word."""

from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope

PREFIX = "/api/v1"


class Word(APIRouter):
    """A router that is looked through only for paths that begin with its word.

    The framework tries the patterns of all two hundred routes in turn, twice: a tenth of the time that a short answer
    takes.
    """

    def __init__(self, word: str, **options: Any) -> None:
        super().__init__(prefix=f"/{word}", **options)
        self._start = f"{PREFIX}/{word}"

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether one of the routes fits; asks none of them where the word is another."""
        if not scope["path"].startswith(self._start):
            return Match.NONE, {}
        return super().matches(scope)
