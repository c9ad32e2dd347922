"""The firm's people over the API: admins only, nobody locked out of the firm, machines' keys."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.clock import fixed_clock
from database.session import transaction
from tests.api.conftest import Firm
from tests.conftest import NOW

AsRole = Callable[[str], TestClient]
USERS = "/api/v1/users"
AUTH = "/api/v1/auth"
_numbers = count(1)


@pytest.fixture
def admin(as_role: AsRole) -> TestClient:
    return as_role("admin")


@pytest.fixture
def anybody(service: TestClient) -> TestClient:
    """A caller whom nobody knows."""
    return TestClient(service.app, raise_server_exceptions=False, client=(f"10.1.0.{next(_numbers)}", 50_000))


def add(admin: TestClient, role: str = "advisor", name: str = "Grace Hopper") -> dict[str, Any]:
    """Somebody new, made over the API."""
    body = {"email": f"person{next(_numbers)}@firm.example", "name": name, "role": role}
    answer = admin.post(USERS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def sign_in(anybody: TestClient, made: dict[str, Any]) -> dict[str, str]:
    """Headers of somebody who has just signed in with the temporary password."""
    answer = anybody.post(f"{AUTH}/token", auth=(made["user"]["email"], made["temporary_password"]))
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


class TestWhoMay:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(USERS).status_code == 401

    @pytest.mark.parametrize("role", ["advisor", "analyst", "viewer", "service"])
    def test_only_admins(self, as_role: AsRole, firm: Firm, role: str) -> None:
        client, other = as_role(role), firm.users["other_advisor"]
        answers = [
            client.get(USERS),
            client.get(f"{USERS}/{other}"),
            client.post(USERS, json={"email": "eve@firm.example", "name": "Eve", "role": "admin"}),
            client.patch(f"{USERS}/{firm.users[role]}", json={"role": "admin"}),
            client.post(f"{USERS}/{other}/reset-password"),
            client.post(f"{USERS}/{other}/keys", json={"name": "mine"}),
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "not_allowed")}
        assert not any("other_advisor" in answer.text for answer in answers)


class TestListUsers:
    def test_searches_filters_sorts_and_pages(self, admin: TestClient) -> None:
        made = [add(admin, name=f"Zuse {letter}")["user"]["email"] for letter in "cab"]
        add(admin, role="service", name="Zuse robot")
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin.get(f"{USERS}?q=zUSE&state=active&sort=-name&limit=2{cursor and f'&cursor={cursor}'}").json()
            found += page["items"]
            cursor = page["next"]
        assert [one["email"] for one in found] == [made[0], made[2], made[1]]
        machines = admin.get(f"{USERS}?q=zuse&role=service").json()
        assert [(one["state"], one["name"]) for one in machines["items"]] == [("no_password", "Zuse robot")]
        assert machines["total"] == 1
        assert admin.get(f"{USERS}?q=%25").json()["items"] == [], "a wildcard is a character like others"

    @pytest.mark.parametrize("query", ["role=king", "state=asleep", "sort=password_hash", "limit=0", "cursor=x"])
    def test_bad_parameters_are_refused(self, admin: TestClient, query: str) -> None:
        assert admin.get(f"{USERS}?{query}").status_code in (404, 422)

    def test_nothing_that_proves_somebody_is_shown(self, admin: TestClient, firm: Firm) -> None:
        text_shown = admin.get(USERS).text + admin.get(f"{USERS}/{firm.users['advisor']}").text
        for word in ("hash", "totp", "secret", "epoch", "argon2"):
            assert word not in text_shown


class TestAddUser:
    def test_hands_over_a_temporary_password_that_opens_the_door_once(
        self, admin: TestClient, anybody: TestClient
    ) -> None:
        made = add(admin)
        headers = sign_in(anybody, made)
        assert anybody.get(f"{AUTH}/me", headers=headers).json()["must_change_password"]
        body = {"old_password": made["temporary_password"], "new_password": "four plain words together"}
        assert anybody.post(f"{AUTH}/password", json=body, headers=headers).status_code == 200
        again = anybody.post(f"{AUTH}/token", auth=(made["user"]["email"], made["temporary_password"]))
        assert again.status_code == 401
        with transaction() as session:
            kept = str(session.execute(text("select * from audit")).all())
        assert made["temporary_password"] not in kept

    def test_a_machine_gets_none(self, admin: TestClient) -> None:
        assert add(admin, role="service")["temporary_password"] is None

    @pytest.mark.parametrize(
        ("change", "status", "why"),
        [
            ({"email": "nobody"}, 422, "give an address"),
            ({"email": "a\x00b@c.de"}, 422, "email"),
            ({"email": "advisor@firm.example"}, 409, "is somebody already"),
            ({"role": "king"}, 422, "role"),
            ({"name": " "}, 422, "name is empty"),
            ({"password": "sesame"}, 422, "password"),
            ({"epoch": 7}, 422, "epoch"),
        ],
    )
    def test_bad_input_is_named(self, admin: TestClient, change: dict[str, Any], status: int, why: str) -> None:
        answer = admin.post(USERS, json={"email": "new@firm.example", "name": "New", "role": "viewer", **change})
        assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text


class TestChangeUser:
    def test_a_new_role_counts_at_once(self, admin: TestClient, anybody: TestClient) -> None:
        made = add(admin)
        headers = sign_in(anybody, made)
        path = f"{USERS}/{made['user']['user_id']}"
        assert admin.patch(path, json={"name": "Rear Admiral"}).json()["name"] == "Rear Admiral"
        assert anybody.get(f"{AUTH}/me", headers=headers).status_code == 200
        assert admin.patch(path, json={"role": "viewer"}).json()["role"] == "viewer"
        assert anybody.get(f"{AUTH}/me", headers=headers).status_code == 401
        assert anybody.get(f"{AUTH}/me", headers=sign_in(anybody, made)).json()["role"] == "viewer"

    def test_the_last_admin_stays(self, admin: TestClient, firm: Firm) -> None:
        path = f"{USERS}/{firm.users['admin']}"
        for answer in (admin.patch(path, json={"role": "viewer"}), admin.post(f"{path}/disable")):
            assert (answer.status_code, answer.json()["code"]) == (409, "refused")
            assert "last admin" in answer.json()["detail"]

    @pytest.mark.parametrize("number", ["0", "-1", "999999999", str(2**63), "x"])
    def test_nobody_is_not_found(self, admin: TestClient, number: str) -> None:
        for answer in (
            admin.get(f"{USERS}/{number}"),
            admin.patch(f"{USERS}/{number}", json={"name": "Nobody"}),
            admin.post(f"{USERS}/{number}/unlock"),
            admin.get(f"{USERS}/{number}/keys"),
            admin.delete(f"{USERS}/{number}/keys/1"),
        ):
            assert answer.status_code == (404 if number == "999999999" else 422), answer.text


class TestDisableUser:
    def test_nobody_acts_as_them_from_then_on(self, admin: TestClient, anybody: TestClient) -> None:
        made = add(admin)
        headers, path = sign_in(anybody, made), f"{USERS}/{made['user']['user_id']}"
        assert admin.post(f"{path}/disable").json()["state"] == "disabled"
        assert anybody.get(f"{AUTH}/me", headers=headers).status_code == 401
        shut = anybody.post(f"{AUTH}/token", auth=(made["user"]["email"], made["temporary_password"]))
        assert shut.status_code == 401
        assert admin.post(f"{path}/enable").json()["state"] == "active"
        sign_in(anybody, made)


class TestGettingBackIn:
    def test_lost_password_second_factor_and_sign_ins(self, admin: TestClient, anybody: TestClient) -> None:
        made = add(admin)
        path = f"{USERS}/{made['user']['user_id']}"
        headers = sign_in(anybody, made)
        assert len(admin.get(f"{path}/sign-ins").json()["items"]) == 1
        assert admin.post(f"{path}/end-sign-ins").json() == {"ended": 1}
        assert anybody.get(f"{AUTH}/me", headers=headers).status_code == 401
        new = admin.post(f"{path}/reset-password").json()["temporary_password"]
        assert new != made["temporary_password"]
        headers = sign_in(anybody, {**made, "temporary_password": new})
        anybody.post(f"{AUTH}/totp", json={"password": new}, headers=headers)
        assert admin.post(f"{path}/reset-second-factor").status_code == 204
        again = admin.post(f"{path}/reset-second-factor")
        assert (again.status_code, again.json()["code"]) == (409, "refused")

    def test_unlock_says_what_it_forgets(self, admin: TestClient, service: TestClient) -> None:
        made = add(admin)
        path, email = f"{USERS}/{made['user']['user_id']}", made["user"]["email"]
        for number in range(20):
            guesser = TestClient(service.app, client=(f"198.51.100.{number}", 50_000))
            guesser.post(f"{AUTH}/token", auth=(email, "wrong"))
        until = (NOW + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        assert admin.get(path).json()["locked_until"] == until
        assert admin.post(f"{path}/unlock").json() == {"failures": 20, "addresses": 20}
        assert admin.get(path).json()["locked_until"] is None


class TestKeys:
    def test_a_machine_acts_by_one_until_it_is_revoked(
        self, admin: TestClient, anybody: TestClient, firm: Firm
    ) -> None:
        path = f"{USERS}/{firm.users['service']}/keys"
        answer = admin.post(path, json={"name": "export", "permissions": ["clients.read"], "days": 30})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert made["key"].startswith(made["prefix"])
        bearer = {"Authorization": f"Bearer {made['key']}"}
        assert anybody.get("/api/v1/regimes/2017-06-30", headers=bearer).json()["code"] == "not_allowed"
        assert anybody.get(f"{AUTH}/me", headers=bearer).status_code == 403, "not even what the role has"
        listed = admin.get(path).json()["items"]
        assert made["key"] not in str(listed)
        assert listed[0]["last_used_at"] is not None
        assert admin.delete(f"{path}/{made['api_key_id']}").status_code == 204
        assert anybody.get(f"{AUTH}/me", headers=bearer).status_code == 401
        assert admin.delete(f"{path}/{made['api_key_id']}").status_code == 404

    def test_its_date_ends_it(self, admin: TestClient, anybody: TestClient, firm: Firm) -> None:
        made = admin.post(f"{USERS}/{firm.users['service']}/keys", json={"name": "short", "days": 1}).json()
        bearer = {"Authorization": f"Bearer {made['key']}"}
        me = anybody.get(f"{AUTH}/me", headers=bearer)
        assert (me.json()["via"], me.json()["role"]) == ("key", "service")
        with fixed_clock(NOW + timedelta(days=1)):
            assert anybody.get(f"{AUTH}/me", headers=bearer).status_code == 401

    def test_it_may_not_touch_how_its_owner_signs_in(self, admin: TestClient, anybody: TestClient, firm: Firm) -> None:
        own = f"{USERS}/{firm.users['admin']}/keys"
        bearer = {"Authorization": f"Bearer {admin.post(own, json={'name': 'mine'}).json()['key']}"}
        assert anybody.get(USERS, headers=bearer).status_code == 200
        body = {"old_password": "x", "new_password": "four plain words together"}
        for answer in (
            anybody.post(f"{AUTH}/password", json=body, headers=bearer),
            anybody.post(f"{AUTH}/totp", json={"password": "x"}, headers=bearer),
            anybody.post(f"{AUTH}/sign-out-everywhere", headers=bearer),
            anybody.get(f"{AUTH}/sign-ins", headers=bearer),
            anybody.post(own, json={"name": "another"}, headers=bearer),
        ):
            assert (answer.status_code, "a machine's key may not" in answer.json()["detail"]) == (403, True)

    @pytest.mark.parametrize(
        ("who", "body", "status", "why"),
        [
            ("advisor", {"name": "hers"}, 409, "would act in their name"),
            ("service", {"name": "x", "permissions": ["users.write"]}, 422, "users.write"),
            ("service", {"name": "x", "permissions": ["fly"]}, 404, "unknown permission"),
            ("service", {"name": "x", "permissions": []}, 422, "permissions is empty"),
            ("service", {"name": "x", "days": 0}, 422, "days"),
            ("service", {"name": " "}, 422, "name is empty"),
        ],
    )
    def test_what_is_refused(
        self, admin: TestClient, firm: Firm, who: str, body: dict[str, Any], status: int, why: str
    ) -> None:
        answer = admin.post(f"{USERS}/{firm.users[who]}/keys", json=body)
        assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text
