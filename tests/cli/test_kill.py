"""`acis kill`: the switch with the database alone."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands.kill import group
from core.errors import InputError, NotFound, Refused

run = CliRunner()


def call(*words: str) -> Any:
    """What the command answers; its error where it raises one."""
    answer = run.invoke(group, [*words])
    if answer.exception is not None:
        raise answer.exception
    return answer.output


class TestKill:
    def test_everything_stops_until_the_word_is_typed(self, committed_database: str) -> None:
        thrown = json.loads(call("engage", "--everything", "--reason", "prices look wrong", "--json"))
        assert thrown["is_settled"] is True
        key = str(thrown["kill_switch_id"])
        (switch,) = json.loads(call("list", "--json"))
        assert (switch["scope"], switch["reason"]) == ("everything", "prices look wrong")
        with pytest.raises(Refused, match="on already"):
            call("engage", "--everything", "--reason", "again")
        with pytest.raises(InputError, match="type 'everything'"):
            call("release", key, "--reason", "checked")
        assert "is off" in call("release", key, "--reason", "checked", "--typed", "everything")
        assert json.loads(call("list", "--json")) == []

    def test_exactly_one_target(self, committed_database: str) -> None:
        for words in ((), ("--everything", "--strategy", "growth")):
            with pytest.raises(InputError, match="exactly one"):
                call("engage", "--reason", "x", *words)
        with pytest.raises(NotFound, match="client 4711"):
            call("engage", "--reason", "x", "--client", "4711")
