"""Households over the API: made once, changed with what was read, put away when empty."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from fastapi.testclient import TestClient

from auth.audit import read_trail
from database.session import transaction
from tests.api.conftest import Firm

AsRole = Callable[[str], TestClient]
URL = "/api/v1/households"


def add(client: TestClient, name: str, **more: Any) -> dict[str, Any]:
    answer = client.post(URL, json={"name": name, **more}, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestHouseholds:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_an_analyst_has_no_right_and_a_viewer_only_reads(self, as_role: AsRole) -> None:
        assert as_role("analyst").get(URL).status_code == 403
        assert as_role("viewer").get(URL).status_code == 200
        answer = as_role("viewer").post(URL, json={"name": "Elm"}, headers={"Idempotency-Key": "v"})
        assert answer.status_code == 403

    def test_an_advisors_new_household_is_theirs_alone(self, as_role: AsRole) -> None:
        made = add(as_role("advisor"), "Elm household", note="met in May")
        key = made["household_id"]
        assert (made["clients"], made["accounts"], made["value_usd"]) == (0, 0, None)
        assert as_role("advisor").get(f"{URL}/{key}").json()["note"] == "met in May"
        assert as_role("other_advisor").get(f"{URL}/{key}").status_code == 404
        assert as_role("admin").get(f"{URL}/{key}").status_code == 200

    def test_twice_with_one_key_is_one(self, as_role: AsRole) -> None:
        client = as_role("admin")
        answers = [
            client.post(URL, json={"name": "Once only"}, headers={"Idempotency-Key": "h1"}).json() for _ in range(2)
        ]
        assert answers[0] == answers[1]
        assert client.get(URL, params={"search": "once ONLY"}).json()["total"] == 1

    def test_a_change_of_what_was_changed_meanwhile_is_refused(self, as_role: AsRole) -> None:
        client = as_role("admin")
        key = add(client, "Fir household")["household_id"]
        etag = client.get(f"{URL}/{key}").headers["etag"]
        assert client.patch(f"{URL}/{key}", json={"name": "Pine"}, headers={"If-Match": etag}).status_code == 200
        answer = client.patch(f"{URL}/{key}", json={"name": "Larch"}, headers={"If-Match": etag})
        assert answer.status_code == 412
        assert answer.json()["code"] == "outdated"
        assert client.get(f"{URL}/{key}").json()["name"] == "Pine"

    def test_with_clients_it_is_not_put_away(self, as_role: AsRole, firm: Firm) -> None:
        client = as_role("advisor")
        key = client.get(f"/api/v1/clients/{firm.clients['advisor']}").json()["household_id"]
        answer = client.post(f"{URL}/{key}/archive", json={"reason": "none"})
        assert answer.status_code == 409
        assert "archive them first" in answer.json()["detail"]

    def test_put_away_and_brought_back(self, as_role: AsRole) -> None:
        client = as_role("admin")
        key = add(client, "Yew household")["household_id"]
        assert client.post(f"{URL}/{key}/archive", json={"reason": "moved"}).json()["archived_at"] is not None
        assert key not in [row["household_id"] for row in client.get(URL, params={"limit": 500}).json()["items"]]
        assert client.get(URL, params={"archived": "only"}).json()["items"][0]["household_id"] == key
        assert client.post(f"{URL}/{key}/restore").json()["archived_at"] is None
        assert client.post(f"{URL}/{key}/restore").status_code == 409
        with transaction() as session:
            trail = read_trail(session, subject="household", subject_id=key)
        assert [row.action for row in trail] == ["add", "archive", "restore"]

    def test_bad_input_names_the_field(self, as_role: AsRole) -> None:
        for body, field in (
            ({"name": "  "}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "a", "created_by": 1}, "created_by"),
        ):
            answer = as_role("admin").post(URL, json=body, headers={"Idempotency-Key": str(uuid4())})
            assert answer.status_code == 422
            assert field in answer.json()["detail"]
        assert as_role("admin").get(URL, params={"sort": "colour"}).status_code == 422
