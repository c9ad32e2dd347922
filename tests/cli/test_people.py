"""`acis people`: passwords are told once, to whoever may run commands on the machine, and nobody is told another's."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from auth.service import Claim, sign_in
from auth.sign_ins import Place
from cli.main import run
from core.errors import NotSignedIn

Acis = Callable[[str], tuple[int, str, str]]
ADA = "ada@firm.example"


@pytest.fixture
def acis(committed_database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Acis:
    """Run one command line in this process: (exit code, stdout, stderr)."""

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["acis", *line.split()])
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def told(acis: Acis, line: str) -> Any:
    code, out, err = acis(f"{line} --json")
    assert code == 0, err
    return json.loads(out)


def enters(email: str, password: str) -> bool:
    try:
        return sign_in(Claim(email, password), Place(address="192.0.2.10")).user_id > 0
    except NotSignedIn:
        return False


class TestPeople:
    """In order: each test goes on from what the one before left."""

    def test_the_first_password_is_told_once_and_must_be_changed(self, acis: Acis) -> None:
        made = told(acis, f"people add {ADA} --name Ada --role admin")
        assert (made["email"], made["role"], made["state"]) == (ADA, "admin", "active")
        assert made["must_change_password"]
        assert enters(ADA, made["temporary_password"])
        assert made["temporary_password"] not in str(told(acis, "people list"))
        code, out, err = acis("people add eve@firm.example --name Eve --role viewer")
        assert (code, out, "told once" in err) == (0, "", True)

    def test_a_machine_has_no_password(self, acis: Acis) -> None:
        assert told(acis, "people add robot@firm.example --name Robot --role service")["temporary_password"] is None
        code, _, err = acis("people reset-password robot@firm.example")
        assert (code, "it needs a key" in err) == (2, True)

    def test_a_new_one_replaces_it(self, acis: Acis) -> None:
        first = told(acis, f"people reset-password {ADA}")["temporary_password"]
        second = told(acis, f"people reset-password {ADA.upper()}")["temporary_password"]
        assert (enters(ADA, first), enters(ADA, second)) == (False, True)

    def test_the_list_shows_who_is_in_which_state(self, acis: Acis) -> None:
        states = {one["email"]: one["state"] for one in told(acis, "people list")}
        assert states == {ADA: "active", "eve@firm.example": "active", "robot@firm.example": "no_password"}
        code, out, _ = acis("people list")
        assert code == 0
        assert "no_password" in out

    def test_getting_back_in(self, acis: Acis) -> None:
        for _ in range(3):
            enters("eve@firm.example", "wrong")
        code, _, err = acis("people unlock eve@firm.example")
        assert (code, "3 failed tries from 1 addresses" in err) == (0, True)
        code, _, err = acis(f"people reset-second-factor {ADA}")
        assert (code, "has no second factor" in err) == (2, True)
        code, _, err = acis("people unlock nobody@firm.example")
        assert (code, "there is no user nobody@firm.example" in err) == (2, True)
        code, _, err = acis("people reseal")
        assert (code, "0 second factors" in err) == (0, True)

    def test_sample_people_can_sign_in_and_are_told_once(self, acis: Acis) -> None:
        made = told(acis, "people sample")
        assert all(enters(one["email"], one["password"]) for one in made)
        assert all(one["password"] is None for one in told(acis, "people sample"))
