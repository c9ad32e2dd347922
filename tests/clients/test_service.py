"""Clients, mandates and restrictions: what is stored, what is audited, what is refused."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from auth.audit import read_trail
from clients import service
from core.errors import InputError, NotFound, Refused
from database.queries import accounts as queries
from tests.factories.quotes import create_stock

OPENED = date(2017, 6, 1)


def add(session: Session, **options: Any) -> int:
    given = {"household": "Oak household", "name": "Nora Oak", **options}
    of_account = {"opened_on", "initial_cash_usd", "limits", "autonomous", "known_strategies"}
    opening = service.Opening(**{"opened_on": OPENED, **{key: given.pop(key) for key in of_account & set(given)}})
    _, account = service.add_client(session, **given, opening=opening)
    assert account is not None
    return account.account_id


class TestAddClient:
    def test_makes_household_client_account_mandate_and_autonomy(self, session: Session) -> None:
        add(session, risk_tolerance="growth", initial_cash_usd=250_000, limits={"cash_weight_min": "0.03"})
        (client,) = service.list_clients(session)
        assert (client.household, client.client, client.book) == ("Oak household", "Nora Oak", "paper")
        assert client.initial_cash_usd == Decimal("250000.00")
        assert client.autonomous
        assert client.mandate["cash_weight_min"] == Decimal("0.03")
        assert client.mandate["position_weight_max"] == Decimal("0.08")
        assert client.mandate_version == 1

    def test_a_second_client_joins_the_household(self, session: Session) -> None:
        add(session)
        add(session, name="Olaf Oak")
        assert {client.household for client in service.list_clients(session)} == {"Oak household"}

    def test_each_part_is_audited(self, session: Session) -> None:
        account_id = add(session, actor="ann")
        client_id = service.list_clients(session)[0].client_id
        for subject, key in (("client", client_id), ("account", account_id), ("mandate", account_id)):
            (row,) = read_trail(session, subject=subject, subject_id=key)
            assert (row.actor, row.action, row.before) == ("ann", "add", None)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"name": "  "}, "name is empty"),
            ({"household": ""}, "household is empty"),
            ({"name": "x" * 201}, "201 characters"),
            ({"initial_cash_usd": "plenty"}, "initial_cash_usd is 'plenty'"),
            ({"initial_cash_usd": -5}, "initial_cash_usd is -5.00"),
            ({"risk_tolerance": "wild"}, "known: balanced, conservative, growth"),
            ({"limits": {"cash_weight_min": 7}}, "cash_weight_min is 7"),
            ({"limits": {"preferred_strategy": "x"}}, "unknown strategy"),
        ],
    )
    def test_bad_input_writes_nothing(self, session: Session, options: dict[str, Any], told: str) -> None:
        with pytest.raises(InputError, match=told):
            add(session, **options)
        assert service.list_clients(session) == []

    def test_refuses_a_name_that_is_taken(self, session: Session) -> None:
        add(session)
        with pytest.raises(InputError, match="has a client of that name"):
            add(session)

    def test_two_families_may_have_a_member_of_one_name(self, session: Session) -> None:
        add(session)
        add(session, household="Another Oak household")
        assert [client.client for client in service.list_clients(session)] == ["Nora Oak", "Nora Oak"]

    def test_a_household_name_that_two_bear_is_told_with_their_numbers(self, session: Session) -> None:
        first, second = (service.add_household(session, name="Oak household").household_id for _ in range(2))
        with pytest.raises(InputError, match=f"2 households are called: give household_id {first} or {second}"):
            add(session)
        add(session, household=None, household_id=second)

    def test_joins_no_archived_household(self, session: Session) -> None:
        home = service.add_household(session, name="Oak household").household_id
        service.archive_household(session, household_id=home, reason="moved away", actor="ann")
        with pytest.raises(Refused, match="restore it first"):
            add(session, household=None, household_id=home)


class TestChangeMandate:
    def test_is_a_new_version_from_its_date_on(self, session: Session) -> None:
        account_id = add(session)
        version = service.change_mandate(
            session, account_id=account_id, effective_on=date(2017, 7, 1), changes={"cash_weight_min": "0.2"}
        )
        assert version.version == 2
        for as_of, minimum in ((date(2017, 6, 30), "0.05"), (date(2017, 7, 1), "0.2")):
            mandate = queries.mandates_on(session, account_ids=[account_id], as_of=as_of)[account_id]
            assert mandate.cash_weight_min == Decimal(minimum)

    def test_audits_before_and_after(self, session: Session) -> None:
        account_id = add(session)
        service.change_mandate(
            session, account_id=account_id, effective_on=date(2017, 7, 1), changes={"cash_weight_min": "0.2"}
        )
        row = read_trail(session, subject="mandate", subject_id=account_id)[-1]
        assert row.before is not None
        assert row.after is not None
        assert (row.before["cash_weight_min"], row.after["cash_weight_min"]) == ("0.05000000", "0.20000000")

    def test_no_change_is_no_version(self, session: Session) -> None:
        account_id = add(session)
        changes = {"cash_weight_min": "0.05"}
        assert service.change_mandate(session, account_id=account_id, effective_on=OPENED, changes=changes).version == 1

    def test_refuses_to_change_the_past(self, session: Session) -> None:
        account_id = add(session)
        with pytest.raises(InputError, match="changed forwards"):
            service.change_mandate(
                session, account_id=account_id, effective_on=date(2017, 5, 1), changes={"cash_weight_min": "0.2"}
            )

    def test_refuses_an_unknown_account(self, session: Session) -> None:
        with pytest.raises(NotFound, match="no account -1"):
            service.change_mandate(session, account_id=-1, effective_on=OPENED, changes={})


class TestRestrict:
    def test_ticker_sector_and_flag_resolve_to_instruments(self, session: Session) -> None:
        oil, smoke, arms, bank = (
            create_stock(session, symbol, sector=sector)
            for symbol, sector in (("OIL", "Energy"), ("SMK", "Staples"), ("BRK-B", "Industrials"), ("BNK", "Banks"))
        )
        service.upload_esg_flags(session, source="firm", flags=[("brk.b", "weapons")])
        account_id = add(session)
        assert service.restrict(session, account_id=account_id, kind="sector", value="energy")
        assert service.restrict(session, account_id=account_id, kind="ticker", value="smk")
        assert service.restrict(session, account_id=account_id, kind="esg", value="weapons")
        found = queries.restricted_instruments(session, account_ids=[account_id])[account_id]
        assert found == {oil: "sector Energy", smoke: "ticker SMK", arms: "esg weapons"}
        assert bank not in found

    def test_twice_is_once_and_audited_once(self, session: Session) -> None:
        create_stock(session, "SMK")
        account_id = add(session)
        assert service.restrict(session, account_id=account_id, kind="ticker", value="SMK", reason="no tobacco")
        assert not service.restrict(session, account_id=account_id, kind="ticker", value="SMK")
        assert len(read_trail(session, subject="restriction", subject_id=account_id)) == 1

    def test_lifting_undoes_it(self, session: Session) -> None:
        create_stock(session, "SMK")
        account_id = add(session)
        service.restrict(session, account_id=account_id, kind="ticker", value="SMK")
        assert service.lift_restriction(session, account_id=account_id, kind="ticker", value="smk")
        assert not service.lift_restriction(session, account_id=account_id, kind="ticker", value="SMK")
        assert queries.restricted_instruments(session, account_ids=[account_id]) == {}

    @pytest.mark.parametrize(
        ("kind", "value", "told"),
        [("ticker", "NOPE", "no instrument"), ("sector", "Magic", "unknown sector"), ("mood", "x", "restriction kind")],
    )
    def test_refuses_what_does_not_exist(self, session: Session, kind: str, value: str, told: str) -> None:
        account_id = add(session)
        with pytest.raises(InputError, match=told):
            service.restrict(session, account_id=account_id, kind=kind, value=value)


class TestUploadEsgFlags:
    def test_replaces_what_the_source_said_before(self, session: Session) -> None:
        create_stock(session, "AAA")
        create_stock(session, "BBB")
        first = service.upload_esg_flags(session, source="firm", flags=[("AAA", "tobacco"), ("ZZZ", "tobacco")])
        assert (first.added, first.removed, first.unknown_symbols) == (1, 0, ["ZZZ"])
        second = service.upload_esg_flags(session, source="firm", flags=[("BBB", "tobacco")])
        assert (second.added, second.removed) == (1, 1)
        assert service.upload_esg_flags(session, source="firm", flags=[("BBB", "tobacco")]).added == 0


class TestHalt:
    def test_halts_and_resumes_with_a_trail(self, session: Session) -> None:
        account_id = add(session)
        service.halt(session, account_id=account_id, reason="fraud alert", actor="ann")
        assert service.list_clients(session)[0].status == "halted"
        service.resume(session, account_id=account_id, actor="bob")
        assert service.list_clients(session)[0].status == "active"
        actions = [row.action for row in read_trail(session, subject="account", subject_id=account_id)]
        assert actions == ["add", "halt", "resume"]

    def test_refuses_to_resume_what_is_not_halted(self, session: Session) -> None:
        with pytest.raises(InputError, match="not halted"):
            service.resume(session, account_id=add(session))


class TestSampleClients:
    def test_three_households_that_differ(self, session: Session) -> None:
        create_stock(session, "MO", sector="Consumer Staples")
        create_stock(session, "XOM", sector="Energy")
        accounts = service.sample_clients(session, opened_on=OPENED)
        clients = {client.account_id: client for client in service.list_clients(session)}
        conservative, balanced, growth = (clients[account.account_id] for account in accounts)
        assert conservative.mandate["cash_weight_min"] == Decimal("0.10")
        assert conservative.restrictions == ["sector Energy", "ticker MO"]
        assert balanced.mandate["preferred_strategy"] is None
        assert growth.mandate["preferred_strategy"] == "momentum_largecap"
        assert len({client.household for client in clients.values()}) == 3
        assert [client.autonomous for client in (conservative, balanced, growth)] == [True, False, True]

    def test_a_second_call_changes_nothing(self, session: Session) -> None:
        create_stock(session, "MO", sector="Consumer Staples")
        create_stock(session, "XOM", sector="Energy")
        first = [account.account_id for account in service.sample_clients(session, opened_on=OPENED)]
        assert [account.account_id for account in service.sample_clients(session, opened_on=date(2018, 1, 2))] == first
        assert len(service.list_clients(session)) == 3


class TestSetAutonomous:
    def test_a_pause_stops_autonomy_and_is_audited(self, session: Session) -> None:
        account_id = add(session)
        service.set_autonomous(session, account_id=account_id, enabled=True, paused_reason="holiday")
        assert queries.autonomous_accounts(session, account_ids=[account_id]) == set()
        service.set_autonomous(session, account_id=account_id, enabled=True)
        assert queries.autonomous_accounts(session, account_ids=[account_id]) == {account_id}
        assert len(read_trail(session, subject="autonomous", subject_id=account_id)) == 2
