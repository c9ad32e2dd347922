"""What the database says no to, as people are told: what passes is not now, what is wrong with us is our fault."""

import asyncio
import json
from typing import Any

import psycopg
import pytest
from fastapi import Request
from psycopg import errors as states
from sqlalchemy.exc import OperationalError, ProgrammingError

from api.errors import on_database

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})


def told(kind: type[Any], orig: psycopg.Error) -> tuple[int, str, str]:
    """Status, code and sentence of an error that a statement brought."""
    answer = asyncio.run(on_database(REQUEST, kind("select secret", {}, orig)))
    body = json.loads(bytes(answer.body))
    return answer.status_code, body["code"], body["detail"]


class TestOnDatabase:
    @pytest.mark.parametrize("orig", [states.UndefinedTable("no table"), states.SyntaxError("select selct")])
    def test_a_statement_that_is_wrong_is_our_fault(self, orig: psycopg.Error) -> None:
        status, code, detail = told(ProgrammingError, orig)
        assert (status, code) == (500, "internal")
        assert "secret" not in detail

    @pytest.mark.parametrize(
        "orig", [states.LockNotAvailable("lock"), states.QueryCanceled("timeout"), states.TooManyConnections("full")]
    )
    def test_circumstances_pass(self, orig: psycopg.Error) -> None:
        assert told(OperationalError, orig)[:2] == (503, "unreachable")

    def test_a_row_that_is_not_ones_own(self) -> None:
        assert told(ProgrammingError, states.InsufficientPrivilege("row"))[:2] == (403, "not_allowed")
