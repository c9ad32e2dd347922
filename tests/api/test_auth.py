"""Signing in over the API, as a program, as a browser, and as those who should not get in."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from threading import Barrier
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pyotp
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from auth import service as verbs
from auth.passwords import hash_password, is_password
from auth.sign_ins import GRACE, Place
from auth.tokens import ACCESS_LASTS
from core.clock import fixed_clock
from core.config import get_settings
from core.log import configure_logs
from database.session import transaction
from database.tables.users import User
from tests.api.conftest import Firm
from tests.conftest import NOW

API = "/api/v1"
AUTH = f"{API}/auth"
PASSWORD = "four plain words together"
KEPT = hash_password(PASSWORD)
FROM_OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
_numbers = count(1)


@dataclass(frozen=True)
class Member:
    """Somebody who can sign in."""

    user_id: int
    email: str

    @property
    def body(self) -> dict[str, Any]:
        return {"email": self.email, "password": PASSWORD}


Caller = Callable[..., TestClient]


@pytest.fixture
def caller(service: TestClient) -> Caller:
    """Makes a caller of an address of its own (or a given one), so that nobody waits for another test's failures."""
    number = next(_numbers)

    def make(address: str = f"10.0.{number // 250}.{number % 250}", **more: Any) -> TestClient:
        return TestClient(service.app, raise_server_exceptions=False, client=(address, 50_000), **more)

    return make


def member(role: str = "advisor", **columns: Any) -> Member:
    """Somebody new, committed, with PASSWORD."""
    with transaction() as session:
        number = next(_numbers)
        user = User(email=f"{role}{number}@firm.example", name="Grace", role=role)
        for name, value in {"password_hash": KEPT, "password_changed_at": NOW, **columns}.items():
            setattr(user, name, value)
        session.add(user)
        session.flush()
        return Member(user.user_id, user.email)


def tokens_of(client: TestClient, who: Member) -> dict[str, Any]:
    answer = client.post(f"{AUTH}/token", json=who.body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def in_browser(client: TestClient, who: Member) -> dict[str, str]:
    """Sign a browser in; the headers that its pages send with each write."""
    answer = client.post(f"{AUTH}/sign-in", json=who.body, headers=FROM_OWN_PAGE)
    assert answer.status_code == 200, answer.text
    return {**FROM_OWN_PAGE, "x-csrf-token": client.cookies["csrftoken"]}


def enrolled(client: TestClient, who: Member) -> tuple[pyotp.TOTP, list[str]]:
    """Switch somebody's second factor on."""
    signed_in = bearer(tokens_of(client, who))
    begun = client.post(f"{AUTH}/totp", json={"password": PASSWORD}, headers=signed_in)
    assert begun.status_code == 201, begun.text
    authenticator = pyotp.TOTP(begun.json()["secret"])
    done = client.post(f"{AUTH}/totp/confirm", json={"code": authenticator.at(NOW)}, headers=signed_in)
    assert done.status_code == 200, done.text
    return authenticator, done.json()["recovery_codes"]


def told(answer: httpx.Response) -> dict[str, Any]:
    """A problem without what differs from call to call."""
    return {name: value for name, value in answer.json().items() if name != "request_id"}


@pytest.mark.usefixtures("firm")
class TestMakeTokens:
    def test_takes_basic_and_json(self, caller: Caller) -> None:
        client, ada = caller(), member()
        basic = client.post(f"{AUTH}/token", auth=(ada.email.upper(), PASSWORD))
        assert basic.status_code == 200, basic.text
        assert basic.headers["cache-control"] == "no-store"
        assert not basic.cookies
        for tokens in (basic.json(), tokens_of(client, ada)):
            assert (tokens["token_type"], tokens["expires_in_s"]) == ("bearer", 600)
            me = client.get(f"{AUTH}/me", headers=bearer(tokens))
            assert me.status_code == 200, me.text
            assert (me.json()["email"], me.json()["role"], me.json()["via"]) == (ada.email, "advisor", "bearer")
            assert "clients.read" in me.json()["permissions"]
            assert me.json()["sign_in_id"] == tokens["sign_in_id"]

    def test_says_the_same_whatever_is_wrong(self, caller: Caller) -> None:
        client, ada = caller(), member()
        answers = [
            client.post(f"{AUTH}/token", json=body)
            for body in (
                {"email": ada.email, "password": "not the password"},
                {"email": "nobody@firm.example", "password": PASSWORD},
                member(disabled_at=NOW).body,
                member(password_hash=None).body,
                member(must_change_password=True, password_changed_at=NOW - timedelta(days=8)).body,
            )
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert all(told(answer) == told(answers[0]) for answer in answers)
        assert answers[0].json()["code"] == "not_signed_in"

    @pytest.mark.parametrize(
        ("sent", "why"),
        [
            ({}, "email and password are missing"),
            ({"json": {"email": "ada@firm.example"}}, "email and password are missing"),
            ({"headers": {"Authorization": "Basic !!!"}}, "not of the form 'Basic"),
            ({"headers": {"Authorization": "Basic YWRh"}}, "not of the form 'Basic"),
            ({"json": {"email": "a b@c.d", "password": "sesame-sesame"}}, "email"),
            (
                {
                    "content": b'{"email": "ada@firm.example", "password": "\\ud800sesame"}',
                    "headers": {"Content-Type": "application/json"},
                },
                "password",
            ),
            ({"json": {"email": "ada\x00@firm.example", "password": "sesame-sesame"}}, "email"),
            ({"json": {"email": "ada@firm.example", "password": "sesame-sesame", "role": "admin"}}, "role"),
            ({"json": {"email": "ada@firm.example", "password": "sesame-sesame", "totp": "sesame"}}, "totp"),
        ],
    )
    def test_bad_input_is_named_and_not_repeated(self, caller: Caller, sent: dict[str, Any], why: str) -> None:
        answer = caller().post(f"{AUTH}/token", **sent)
        assert answer.status_code == 422, answer.text
        assert why in answer.json()["detail"]
        assert "sesame" not in answer.text

    def test_a_password_kept_with_older_parameters_is_kept_anew(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = member()
        monkeypatch.setattr(verbs, "is_weakly_kept", lambda kept: True)
        tokens_of(caller(), ada)
        with transaction() as session:
            kept = session.scalar(text("select password_hash from users where user_id = :u"), {"u": ada.user_id})
        assert kept not in (None, KEPT)


@pytest.mark.usefixtures("firm")
class TestGuessing:
    def test_is_slowed_down_in_the_same_words_for_everybody(self, caller: Caller) -> None:
        client, ada = caller(), member()
        locked = []
        for email in (ada.email, f"nobody{next(_numbers)}@firm.example"):
            codes = [
                client.post(f"{AUTH}/token", json={"email": email, "password": "wrong"}).status_code for _ in range(5)
            ]
            assert codes == [401] * 5
            locked.append(client.post(f"{AUTH}/token", json={"email": email, "password": PASSWORD}))
        assert [answer.status_code for answer in locked] == [429, 429]
        assert told(locked[0]) == told(locked[1])
        assert locked[0].headers["retry-after"] == "1"
        with fixed_clock(NOW + timedelta(seconds=1)):
            tokens_of(client, ada)

    def test_does_not_lock_the_owner_out_elsewhere(self, caller: Caller) -> None:
        ada, thief, desk = member(), caller("203.0.113.77"), caller()
        for _ in range(6):
            thief.post(f"{AUTH}/token", json={"email": ada.email, "password": "wrong"})
        tokens_of(desk, ada)

    def test_a_hundred_at_once_are_no_more_than_a_hundred_in_turn(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = member()
        weighed: list[str] = []

        def weigh(password: str, kept: str | None) -> bool:
            weighed.append(password)
            return is_password(password, kept)

        monkeypatch.setattr(verbs, "is_password", weigh)
        client = caller()
        body = {"email": ada.email, "password": "wrong"}
        codes = in_threads(30, lambda number: client.post(f"{AUTH}/token", json=body).status_code)
        assert sorted(codes) == [401] * 5 + [429] * 25
        assert len(weighed) == 5

    def test_two_hundred_tries_get_five_chances(self) -> None:
        """The verb itself, without the limit of requests a minute that stands before it."""
        ada = member()
        outcomes = [refused(ada, "192.0.2.200") for _ in range(200)]
        assert (outcomes.count("not_signed_in"), outcomes.count("too_many")) == (5, 195)


@pytest.mark.usefixtures("firm")
class TestSecondFactor:
    def test_is_asked_for_and_taken_in_body_or_header(self, caller: Caller) -> None:
        client, ada = caller(), member()
        authenticator, codes = enrolled(client, ada)
        for _ in range(10):
            asked = client.post(f"{AUTH}/token", json=ada.body)
            assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_needed")
        later = NOW + timedelta(minutes=5)
        with fixed_clock(later):
            code = authenticator.at(later)
            wrong = client.post(
                f"{AUTH}/token", json={**ada.body, "totp": authenticator.at(later + timedelta(hours=1))}
            )
            assert (wrong.status_code, wrong.json()["code"]) == (401, "second_factor_needed")
            assert client.post(f"{AUTH}/token", json={**ada.body, "totp": code}).status_code == 200
            again = client.post(f"{AUTH}/token", json={**ada.body, "totp": code})
            assert again.status_code == 401, "a code counts once"
            basic = client.post(f"{AUTH}/token", auth=(ada.email, PASSWORD), headers={"x-recovery-code": codes[0]})
            assert basic.status_code == 200, basic.text
            once = client.post(f"{AUTH}/token", json={**ada.body, "recovery_code": codes[0]})
            assert once.status_code == 401
            me = client.get(f"{AUTH}/me", headers=bearer(basic.json())).json()
            assert (me["has_second_factor"], me["recovery_codes_left"]) == (True, 9)

    def test_guessing_the_code_is_guessing(self, caller: Caller) -> None:
        client, ada = caller(), member()
        enrolled(client, ada)
        codes = [client.post(f"{AUTH}/token", json={**ada.body, "totp": f"{n:06}"}).status_code for n in range(6)]
        assert codes == [401] * 5 + [429]
        assert client.post(f"{AUTH}/token", json=ada.body).status_code == 429

    def test_a_wrong_password_is_not_told_apart_by_it(self, caller: Caller) -> None:
        client, ada = caller(), member()
        enrolled(client, ada)
        answers = [
            client.post(f"{AUTH}/token", json={"email": email, "password": "wrong", "totp": "123456"})
            for email in (ada.email, "nobody@firm.example")
        ]
        assert told(answers[0]) == told(answers[1])

    def test_is_switched_off_with_password_and_code(self, caller: Caller) -> None:
        client, ada = caller(), member()
        _, codes = enrolled(client, ada)
        signed_in = bearer(client.post(f"{AUTH}/token", json={**ada.body, "recovery_code": codes[0]}).json())
        disable = f"{AUTH}/totp/disable"
        assert client.post(disable, json={"password": PASSWORD}, headers=signed_in).status_code == 422
        wrong = {"password": "wrong", "recovery_code": codes[1]}
        assert client.post(disable, json=wrong, headers=signed_in).status_code == 422
        renewed = client.post(
            f"{AUTH}/totp/recovery-codes", json={"password": PASSWORD, "recovery_code": codes[1]}, headers=signed_in
        )
        assert renewed.status_code == 200, renewed.text
        assert (
            client.post(disable, json={"password": PASSWORD, "recovery_code": codes[2]}, headers=signed_in).status_code
            == 422
        )
        right = {"password": PASSWORD, "recovery_code": renewed.json()["recovery_codes"][0]}
        assert client.post(disable, json=right, headers=signed_in).status_code == 204
        tokens_of(client, ada)

    def test_the_password_stands_before_a_new_one(self, caller: Caller) -> None:
        client, ada = caller(), member()
        signed_in = bearer(tokens_of(client, ada))
        answer = client.post(f"{AUTH}/totp", json={"password": "wrong"}, headers=signed_in)
        assert answer.status_code == 422
        assert "password is not right" in answer.json()["detail"]


@pytest.mark.usefixtures("firm")
class TestBrowser:
    def test_gets_cookies_and_no_token_in_the_page(self, caller: Caller) -> None:
        client, ada = caller(), member()
        answer = client.post(f"{AUTH}/sign-in", json=ada.body, headers=FROM_OWN_PAGE)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["access_token"], answer.json()["refresh_token"]) == (None, None)
        cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
        assert set(cookies) == {"session", "refresh", "csrftoken"}
        for name, parts in {
            "session": ("HttpOnly", "Path=/;", "SameSite=lax"),
            "refresh": ("HttpOnly", f"Path={AUTH}/refresh;", "SameSite=strict"),
            "csrftoken": ("Path=/;", "SameSite=lax"),
        }.items():
            assert all(part in cookies[name] + ";" for part in parts), cookies[name]
            assert "Secure" not in cookies[name]
        assert "HttpOnly" not in cookies["csrftoken"]
        me = client.get(f"{AUTH}/me").json()
        assert (me["via"], me["csrf_token"]) == ("cookie", answer.json()["csrf_token"])

    def test_over_tls_no_other_host_can_set_them(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACIS_SECURE_COOKIES", "true")
        get_settings.cache_clear()
        try:
            client, ada = caller(base_url="https://firm.example"), member()
            answer = client.post(f"{AUTH}/sign-in", json=ada.body, headers=FROM_OWN_PAGE)
            lines = answer.headers.get_list("set-cookie")
            assert [line.partition("=")[0] for line in lines] == ["__Host-session", "__Secure-refresh", "csrftoken"]
            assert all("Secure" in line for line in lines)
            assert client.get(f"{AUTH}/me").status_code == 200
            client.cookies.set("session", client.cookies["__Host-session"])
            client.cookies.delete("__Host-session")
            assert client.get(f"{AUTH}/me").status_code == 401, "the unguarded name counts for nothing"
        finally:
            get_settings.cache_clear()

    def test_begins_a_sign_in_of_its_own_whatever_was_planted(self, caller: Caller) -> None:
        client, eve, ada = caller(), member(), member()
        planted = in_browser(client, eve)
        before = client.get(f"{AUTH}/me").json()
        headers = in_browser(client, ada)
        after = client.get(f"{AUTH}/me").json()
        assert after["email"] == ada.email
        assert after["sign_in_id"] != before["sign_in_id"]
        assert headers["x-csrf-token"] != planted["x-csrf-token"]
        client.cookies.set("csrftoken", planted["x-csrf-token"], domain="testserver.local")
        assert client.post(f"{AUTH}/sign-out-everywhere", headers=planted).status_code == 403

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 403),
            ({"x-csrf-token": ""}, 403),
            ({"x-csrf-token": "0" * 64}, 403),
            ({"x-csrf-token": "KEPT", "Sec-Fetch-Site": "cross-site"}, 403),
            ({"x-csrf-token": "KEPT", "Sec-Fetch-Site": "same-site"}, 403),
            ({"x-csrf-token": "KEPT", "Origin": "https://evil.example"}, 403),
            ({"x-csrf-token": "KEPT", "Origin": "null"}, 403),
            ({"x-csrf-token": "KEPT", "Origin": "http://["}, 403),
            ({"x-csrf-token": "KEPT", "Origin": "http://testserver"}, 200),
            (
                {"x-csrf-token": "KEPT", "Origin": "https://desk.example", "X-Forwarded-Host": "desk.example"},
                200,
            ),
            ({"x-csrf-token": "KEPT", "Sec-Fetch-Site": "same-origin"}, 200),
            ({"x-csrf-token": "KEPT", "Sec-Fetch-Site": "none"}, 200),
        ],
    )
    def test_writes_only_from_its_own_pages(self, caller: Caller, headers: dict[str, str], status: int) -> None:
        client, ada = caller(), member()
        kept = in_browser(client, ada)["x-csrf-token"]
        sent = {name: kept if value == "KEPT" else value for name, value in headers.items()}
        assert client.post(f"{AUTH}/sign-out-everywhere", headers=sent).status_code == status
        after = client.get(f"{AUTH}/me")
        assert after.status_code == (200 if status == 403 else 401), "what is refused changes nothing"

    @pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
    def test_nobody_is_signed_in_by_another_site(self, caller: Caller, headers: dict[str, str]) -> None:
        client, ada = caller(), member()
        answer = client.post(f"{AUTH}/sign-in", json=ada.body, headers=headers)
        assert (answer.status_code, answer.headers.get_list("set-cookie")) == (403, [])
        form = client.post(f"{AUTH}/sign-in", content=str(ada.body), headers={"Content-Type": "text/plain"})
        assert form.status_code == 422

    def test_a_header_beats_the_cookie(self, caller: Caller) -> None:
        client, ada = caller(), member()
        in_browser(client, ada)
        assert client.get(f"{AUTH}/me", headers={"Authorization": "Bearer nonsense"}).status_code == 401
        assert client.get(f"{AUTH}/me", headers={"Authorization": "Basic YTpi"}).status_code == 401


@pytest.mark.usefixtures("firm")
class TestRefresh:
    def test_twenty_at_once_all_survive(self, caller: Caller) -> None:
        client, ada = caller(), member()
        first = tokens_of(client, ada)
        sent = {"refresh_token": first["refresh_token"]}
        answers = in_threads(20, lambda number: client.post(f"{AUTH}/refresh", json=sent))
        assert [answer.status_code for answer in answers] == [200] * 20, answers[0].text
        assert len({answer.json()["refresh_token"] for answer in answers}) == 1
        for answer in answers:
            assert client.get(f"{AUTH}/me", headers=bearer(answer.json())).status_code == 200
        again = client.post(f"{AUTH}/refresh", json={"refresh_token": answers[0].json()["refresh_token"]})
        assert again.status_code == 200

    def test_a_replayed_token_ends_the_sign_in_for_both(self, caller: Caller) -> None:
        client, ada = caller(), member()
        stolen = tokens_of(client, ada)
        owners = client.post(f"{AUTH}/refresh", json={"refresh_token": stolen["refresh_token"]}).json()
        with fixed_clock(NOW + GRACE + timedelta(seconds=1)):
            replayed = client.post(f"{AUTH}/refresh", json={"refresh_token": stolen["refresh_token"]})
            assert (replayed.status_code, replayed.json()["code"]) == (401, "not_signed_in")
            for headers in (bearer(owners), bearer(stolen)):
                assert client.get(f"{AUTH}/me", headers=headers).status_code == 401
            ended = client.post(f"{AUTH}/refresh", json={"refresh_token": owners["refresh_token"]})
            assert ended.status_code == 401

    def test_a_browser_goes_on_after_ten_minutes(self, caller: Caller) -> None:
        client, ada = caller(), member()
        headers = in_browser(client, ada)
        with fixed_clock(NOW + ACCESS_LASTS):
            assert client.get(f"{AUTH}/me").status_code == 401
            assert client.post(f"{AUTH}/refresh", headers=headers).status_code == 200
            assert client.get(f"{AUTH}/me").json()["email"] == ada.email

    def test_a_browser_proves_that_it_was_its_own_page(self, caller: Caller) -> None:
        client, ada = caller(), member()
        headers = in_browser(client, ada)
        for sent in ({}, {**headers, "x-csrf-token": "0" * 64}, {**headers, "Sec-Fetch-Site": "cross-site"}):
            assert client.post(f"{AUTH}/refresh", headers=sent).status_code == 403
        assert client.post(f"{AUTH}/refresh", headers=headers).status_code == 200

    def test_a_browser_whose_sign_in_is_over_lets_its_cookies_go(self, caller: Caller) -> None:
        client, ada = caller(), member()
        headers = in_browser(client, ada)
        with fixed_clock(NOW + timedelta(days=2)):
            over = client.post(f"{AUTH}/refresh", headers=headers)
        assert (over.status_code, over.json()["code"]) == (401, "not_signed_in")
        assert not client.cookies
        assert client.post(f"{AUTH}/refresh", headers=headers).status_code == 401


@pytest.mark.usefixtures("firm")
class TestSignOut:
    def test_kills_access_and_refresh_tokens_at_once_and_no_other_sign_in(self, caller: Caller) -> None:
        client, ada = caller(), member()
        here, elsewhere = tokens_of(client, ada), tokens_of(client, ada)
        for _ in range(2):
            assert client.post(f"{AUTH}/sign-out", headers=bearer(here)).status_code == 204
        assert client.get(f"{AUTH}/me", headers=bearer(here)).status_code == 401
        assert client.post(f"{AUTH}/refresh", json={"refresh_token": here["refresh_token"]}).status_code == 401
        assert client.get(f"{AUTH}/me", headers=bearer(elsewhere)).status_code == 200

    def test_a_browser_needs_its_proof_and_loses_its_cookies_even_late(self, caller: Caller) -> None:
        client, ada = caller(), member()
        headers = in_browser(client, ada)
        tokens = client.cookies["session"]
        assert client.post(f"{AUTH}/sign-out").status_code == 403
        with fixed_clock(NOW + timedelta(hours=1)):
            assert client.post(f"{AUTH}/sign-out", headers=headers).status_code == 204
        assert "session" not in client.cookies
        assert client.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {tokens}"}).status_code == 401

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer acis_x"}])
    def test_of_nobody_is_nothing(self, caller: Caller, headers: dict[str, str]) -> None:
        assert caller().post(f"{AUTH}/sign-out", headers=headers).status_code == 204

    def test_everywhere(self, caller: Caller) -> None:
        client, ada = caller(), member()
        made = [tokens_of(client, ada) for _ in range(3)]
        assert client.post(f"{AUTH}/sign-out-everywhere", headers=bearer(made[0])).json() == {"ended": 3}
        for tokens in made:
            assert client.get(f"{AUTH}/me", headers=bearer(tokens)).status_code == 401
            assert client.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401


@pytest.mark.usefixtures("firm")
class TestSignIns:
    def test_are_listed_in_pages_and_ended_one_by_one(self, caller: Caller) -> None:
        client, ada = caller(), member()
        made = [tokens_of(client, ada) for _ in range(3)]
        here, url, seen = bearer(made[0]), f"{AUTH}/sign-ins?limit=2", []
        while url:
            page = client.get(url, headers=here).json()
            seen += page["items"]
            url = page["next"] and f"{AUTH}/sign-ins?limit=2&cursor={page['next']}"
        assert {one["sign_in_id"] for one in seen} == {one["sign_in_id"] for one in made}
        assert [one["sign_in_id"] for one in seen if one["is_current"]] == [made[0]["sign_in_id"]]
        assert seen[0]["user_agent"] == "testclient"
        assert client.delete(f"{AUTH}/sign-ins/{made[1]['sign_in_id']}", headers=here).status_code == 204
        assert client.get(f"{AUTH}/me", headers=bearer(made[1])).status_code == 401
        assert client.get(f"{AUTH}/sign-ins", headers=here).json()["total"] == 2

    def test_another_persons_is_not_there(self, caller: Caller) -> None:
        client, ada, eve = caller(), member(), member()
        hers = tokens_of(client, eve)
        mine = bearer(tokens_of(client, ada))
        for sign_in_id in (hers["sign_in_id"], UUID(int=0)):
            answer = client.delete(f"{AUTH}/sign-ins/{sign_in_id}", headers=mine)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert client.get(f"{AUTH}/me", headers=bearer(hers)).status_code == 200


@pytest.mark.usefixtures("firm")
class TestChangePassword:
    NEW = "another four plain words"

    def test_ends_every_sign_in_and_begins_one(self, caller: Caller) -> None:
        client, ada = caller(), member()
        here, elsewhere = tokens_of(client, ada), tokens_of(client, ada)
        body = {"old_password": PASSWORD, "new_password": self.NEW}
        answer = client.post(f"{AUTH}/password", json=body, headers=bearer(here))
        assert answer.status_code == 200, answer.text
        for tokens in (here, elsewhere):
            assert client.get(f"{AUTH}/me", headers=bearer(tokens)).status_code == 401
        assert client.get(f"{AUTH}/me", headers=bearer(answer.json())).status_code == 200
        assert client.post(f"{AUTH}/token", json=ada.body).status_code == 401
        assert client.post(f"{AUTH}/token", json={**ada.body, "password": self.NEW}).status_code == 200

    def test_a_browser_gets_new_cookies(self, caller: Caller) -> None:
        client, ada = caller(), member()
        headers = in_browser(client, ada)
        body = {"old_password": PASSWORD, "new_password": self.NEW}
        answer = client.post(f"{AUTH}/password", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] is None
        assert client.get(f"{AUTH}/me").json()["csrf_token"] == client.cookies["csrftoken"] != headers["x-csrf-token"]

    def test_says_what_is_wrong_and_changes_nothing(self, caller: Caller) -> None:
        client, ada = caller(), member()
        signed_in = bearer(tokens_of(client, ada))
        for old, new, why in (
            ("wrong", self.NEW, "old_password is not right"),
            (PASSWORD, "Password1234", "most used"),
            (PASSWORD, PASSWORD, "is the old one"),
        ):
            body = {"old_password": old, "new_password": new}
            answer = client.post(f"{AUTH}/password", json=body, headers=signed_in)
            assert (answer.status_code, why in answer.json()["detail"]) == (422, True), answer.text
        assert client.get(f"{AUTH}/me", headers=signed_in).status_code == 200

    def test_a_stolen_token_does_not_help_to_guess_it(self, caller: Caller) -> None:
        client, ada = caller(), member()
        signed_in = bearer(tokens_of(client, ada))
        body = {"old_password": "wrong", "new_password": self.NEW}
        codes = [client.post(f"{AUTH}/password", json=body, headers=signed_in).status_code for _ in range(6)]
        assert codes == [422] * 5 + [429]

    def test_a_temporary_one_opens_nothing_else(self, caller: Caller) -> None:
        client, ada = caller(), member(must_change_password=True)
        tokens = tokens_of(client, ada)
        assert tokens["must_change_password"]
        for path in ("/regimes/current", "/users"):
            shut = client.get(f"{API}{path}", headers=bearer(tokens))
            assert (shut.status_code, shut.json()["code"]) == (403, "password_change_needed")
        assert client.get(f"{AUTH}/me", headers=bearer(tokens)).json()["must_change_password"]
        body = {"old_password": PASSWORD, "new_password": self.NEW}
        new = client.post(f"{AUTH}/password", json=body, headers=bearer(tokens)).json()
        assert not new["must_change_password"]
        assert client.get(f"{API}/users", headers=bearer(new)).json()["code"] == "not_allowed"


@pytest.mark.usefixtures("firm")
class TestSecrets:
    def test_are_in_no_log_and_no_answer_but_their_own(
        self, caller: Caller, firm: Firm, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logs(get_settings().model_copy(update={"log_level": "DEBUG", "log_json": True}))
        try:
            client, ada = caller(), member()
            secrets, answers = walk(client, ada)
            logged = "".join(capsys.readouterr())
        finally:
            configure_logs(get_settings())
        assert '"level"' in logged, "nothing was listened to"
        for name, secret in secrets.items():
            assert secret not in logged, name
            told_in = [path for path, answer in answers if secret in answer]
            assert len(told_in) <= 1, (name, told_in)
        with transaction() as session:
            for table in ("audit", "users", "sign_ins", "refresh_tokens", "sign_in_attempts", "recovery_codes"):
                kept = str(session.execute(text(f"select * from {table}")).all())
                assert not [name for name, secret in secrets.items() if secret in kept], table


def walk(client: TestClient, ada: Member) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Go through sign-in once, rightly and wrongly; the secrets met on the way, and each answer with its path."""
    answers: list[tuple[str, str]] = []

    def call(path: str, body: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        answer = client.post(f"{AUTH}{path}", json=body, **more)
        answers.append((f"{path} {len(answers)}", answer.text + str(answer.headers)))
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    tokens = call("/token", ada.body)
    call("/token", {**ada.body, "password": "canary wrong words"})
    call("/token", {**ada.body, "passwort": "canary wrong words"})
    call("/token", None, headers={"Authorization": "Basic canary-basic"})
    begun = call("/totp", {"password": PASSWORD}, headers=bearer(tokens))
    codes = call("/totp/confirm", {"code": pyotp.TOTP(begun["secret"]).at(NOW)}, headers=bearer(tokens))
    call("/token", {**ada.body, "recovery_code": codes["recovery_codes"][0] + "X"})
    with fixed_clock(NOW + timedelta(seconds=5)):
        refreshed = call("/refresh", {"refresh_token": tokens["refresh_token"]})
    call("/refresh", {"refresh_token": "canary-refresh"})
    call("/totp", {"password": PASSWORD}, headers={"Authorization": "Bearer acis_canary-key"})
    call("/password", {"old_password": PASSWORD, "new_password": "canary new words 77"}, headers=bearer(refreshed))
    signature = re.split(r"\.", tokens["access_token"])[2]
    secrets = {
        "password": PASSWORD,
        "wrong password": "canary wrong words",
        "new password": "canary new words 77",
        "basic": "canary-basic",
        "key": "canary-key",
        "totp": begun["secret"],
        "recovery code": codes["recovery_codes"][1],
        "refresh token": tokens["refresh_token"],
        "next refresh token": refreshed["refresh_token"],
        "foreign refresh token": "canary-refresh",
        "access token": signature,
    }
    return secrets, answers


def in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """The answers of so many threads that all begin at once, each with the test's clock."""
    barrier = Barrier(number)

    def begin(one: int) -> Any:
        barrier.wait()
        return work(one)

    with ThreadPoolExecutor(number) as pool:
        waiting = [pool.submit(copy_context().run, begin, one) for one in range(number)]
        return [one.result() for one in waiting]


def refused(ada: Member, address: str) -> str:
    """The code of what a wrong password gets."""
    try:
        verbs.sign_in(verbs.Claim(ada.email, "wrong"), Place(address=address))
    except Exception as error:  # noqa: BLE001 the code is what is asked for
        return str(getattr(error, "code", error))
    return "signed in"
