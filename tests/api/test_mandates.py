"""Mandates and restrictions over the API: versions, previews, what must not be held."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient

from database.session import transaction
from database.tables.positions import Position
from tests.api.conftest import Firm
from tests.factories.quotes import create_priced_stock
from trading.opening import open_paper_account

AsRole = Callable[[str], TestClient]
API = "/api/v1"


@pytest.fixture(scope="module")
def held(firm: Firm) -> int:
    """The advisor's account: 1,000,000 USD in cash and 2,000 shares at 100 USD of a stock in Energy."""
    account_id = firm.accounts["advisor"]
    with transaction() as session:
        open_paper_account(session, account_id=account_id)
        oil = create_priced_stock(session, "OIL", sector="Energy")
        create_priced_stock(session, "MO", sector="Staples")
        session.add(
            Position(account_id=account_id, instrument_id=oil, quantity=Decimal(2000), cost_usd=Decimal(150_000))
        )
    return account_id


class TestMandate:
    def test_stranger_gets_nothing(self, service: TestClient, held: int) -> None:
        assert service.get(f"{API}/accounts/{held}/mandate").status_code == 401

    def test_a_foreign_mandate_is_not_there(self, as_role: AsRole, firm: Firm) -> None:
        path = f"{API}/accounts/{firm.accounts['other_advisor']}"
        client = as_role("advisor")
        for word in ("mandate", "mandate/versions", "restrictions"):
            assert client.get(f"{path}/{word}").status_code == 404
        assert client.patch(f"{path}/mandate", json={"cash_weight_min": "0.5"}).status_code == 404
        assert client.post(f"{path}/mandate/preview", json={}).status_code == 404
        assert client.post(f"{path}/restrictions", json={"kind": "ticker", "value": "MO"}).status_code == 404

    def test_a_preview_tells_what_binds_and_writes_nothing(self, as_role: AsRole, held: int) -> None:
        client = as_role("advisor")
        answer = client.post(
            f"{API}/accounts/{held}/mandate/preview", json={"position_weight_max": "0.20", "cash_weight_min": "0.9"}
        ).json()
        # 200,000 of 1,200,000 USD is a sixth: above the 8 % that stand, below the 20 % asked for.
        (now,) = answer["breaches_now"]
        assert (now["limit"], now["subject"], now["measured"]) == ("position_weight_max", "OIL", "0.16666667")
        (then,) = answer["breaches_then"]
        assert (then["limit"], then["measured"], then["allowed"]) == ("cash_weight_min", "0.83333333", "0.9")
        assert (answer["version"], answer["is_change"]) == (2, True)
        assert client.get(f"{API}/accounts/{held}/mandate").json()["version"] == 1

    def test_a_change_is_a_new_version_for_whoever_read_the_last(self, as_role: AsRole, held: int) -> None:
        client, path = as_role("advisor"), f"{API}/accounts/{held}/mandate"
        etag = client.get(path).headers["etag"]
        answer = client.patch(path, json={"cash_weight_min": "0.07"}, headers={"If-Match": etag})
        assert (answer.status_code, answer.json()["version"]) == (200, 2)
        assert client.patch(path, json={"cash_weight_min": "0.08"}, headers={"If-Match": etag}).status_code == 412
        assert client.patch(path, json={"cash_weight_min": "0.07"}).json()["version"] == 2
        assert [version["version"] for version in client.get(f"{path}/versions").json()] == [2, 1]

    @pytest.mark.parametrize(
        ("given", "status", "told"),
        [
            ({"cash_weight_min": "5"}, 422, "cash_weight_min"),
            ({"position_weight_max": "0.9"}, 422, "cannot be larger than its sector"),
            ({"preferred_strategy": "astrology"}, 404, "momentum_largecap"),
            ({"mood": 1}, 422, "mood"),
            ({"cash_weight_min": "0.3", "effective_on": "2010-01-01"}, 422, "changed forwards"),
        ],
    )
    def test_bad_input_names_the_field(
        self, as_role: AsRole, held: int, given: dict[str, str], status: int, told: str
    ) -> None:
        answer = as_role("advisor").patch(f"{API}/accounts/{held}/mandate", json=given)
        assert answer.status_code == status
        assert told in answer.json()["detail"]

    def test_defaults_by_tolerance(self, as_role: AsRole) -> None:
        defaults = as_role("viewer").get(f"{API}/mandates/defaults").json()
        assert {name: limits["cash_weight_min"] for name, limits in defaults.items()} == {
            "conservative": "0.1",
            "balanced": "0.05",
            "growth": "0.02",
        }


class TestRestrictions:
    def test_added_seen_in_the_preview_and_lifted(self, as_role: AsRole, held: int) -> None:
        client, path = as_role("advisor"), f"{API}/accounts/{held}/restrictions"
        answer = client.post(path, json={"kind": "sector", "value": "energy", "reason": "works there"})
        assert answer.status_code == 201
        assert [(row["kind"], row["value"]) for row in answer.json()] == [("sector", "Energy")]
        preview = client.post(f"{API}/accounts/{held}/mandate/preview", json={}).json()
        assert [(row["limit"], row["subject"]) for row in preview["breaches_now"]] == [("restriction", "OIL")]
        assert client.delete(f"{path}/sector/Energy").json() == []
        assert client.delete(f"{path}/sector/Energy").status_code == 404

    def test_what_does_not_exist_is_told(self, as_role: AsRole, held: int) -> None:
        client, path = as_role("advisor"), f"{API}/accounts/{held}/restrictions"
        for body, status in (
            ({"kind": "ticker", "value": "NOPE"}, 422),
            ({"kind": "sector", "value": "Magic"}, 404),
            ({"kind": "mood", "value": "x"}, 422),
        ):
            assert client.post(path, json=body).status_code == status

    def test_flags_are_uploaded_by_admins_and_offered_as_choices(self, as_role: AsRole, held: int) -> None:
        path = f"{API}/esg-flags/firm"
        assert as_role("advisor").put(path, content=b"symbol,flag\nMO,tobacco\n").status_code == 403
        done = as_role("admin").put(path, content=b"\xef\xbb\xbfSymbol,Flag\nmo,tobacco\nNOPE,coal\n,\n").json()
        assert done == {"source": "firm", "added": 1, "removed": 0, "unknown_symbols": ["NOPE"]}
        by_form = as_role("admin").put(path, files={"file": ("flags.csv", b"symbol,flag\nMO,tobacco\nOIL,coal\n")})
        assert (by_form.json()["added"], by_form.json()["removed"]) == (1, 0)
        choices = as_role("viewer").get(f"{API}/restrictions/choices").json()
        assert choices == {"sectors": ["Energy", "Staples"], "esg_flags": ["coal", "tobacco"]}

    @pytest.mark.parametrize("body", [b"", b"ticker;mark\n", b"\xff\xfe\x00", b'symbol,flag\n"MO,tobacco'])
    def test_a_file_that_is_none_is_refused(self, as_role: AsRole, held: int, body: bytes) -> None:
        answer = as_role("admin").put(f"{API}/esg-flags/firm", content=body)
        assert answer.status_code == 422, answer.text


def test_the_day_of_a_version_is_the_practices_own(as_role: AsRole, held: int) -> None:
    """Nights are of the past here: a mandate of today would never be in force."""
    mandate = as_role("advisor").get(f"{API}/accounts/{held}/mandate").json()
    assert date.fromisoformat(mandate["effective_on"]) < date(2018, 1, 1)
