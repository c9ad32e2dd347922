"""People are known by one address in one spelling, their roles are a list, and one admin always stays."""

import pytest

from auth.audit import read_trail
from auth.lockout import FREE_PAIR, admit
from auth.passwords import is_password
from auth.people import (
    add_person,
    change_person,
    disable_person,
    enable_person,
    end_sign_ins,
    find_person,
    give_temporary_password,
    list_people,
    reset_second_factor,
    sample_people,
    unlock,
)
from auth.roles import ROLES
from auth.second_factor import begin_second_factor
from auth.sign_ins import Place, begin_sign_in
from core.errors import InputError, NotFound, Refused, UnknownName
from database.queries.users import find_user
from database.session import Session
from database.tables.users import User


class TestAddPerson:
    def test_is_found_however_the_address_is_written_and_is_in_the_trail(self, session: Session) -> None:
        person = add_person(session, email=" Ada@Firm.example", name="Ada", role="admin", actor="operator")
        assert person.email == "ada@firm.example"
        user = find_user(session, email="ADA@firm.example ")
        assert user is not None
        assert [row.action for row in read_trail(session, subject="user", subject_id=user.user_id)] == ["add"]
        assert list_people(session) == [person]

    @pytest.mark.parametrize("email", ["ada", "ada@firm", "a da@firm.example", ""])
    def test_no_address_is_refused(self, session: Session, email: str) -> None:
        with pytest.raises(InputError, match="give an address"):
            add_person(session, email=email, name="Ada", role="admin", actor="operator")

    def test_the_same_address_in_other_letters_is_the_same_person(self, session: Session) -> None:
        add_person(session, email="ada@firm.example", name="Ada", role="admin", actor="operator")
        with pytest.raises(Refused, match="is somebody already"):
            add_person(session, email="ADA@FIRM.example", name="Eve", role="analyst", actor="operator")

    def test_unknown_role_and_empty_name_are_refused(self, session: Session) -> None:
        with pytest.raises(UnknownName, match="unknown role 'king'"):
            add_person(session, email="ada@firm.example", name="Ada", role="king", actor="operator")
        with pytest.raises(InputError, match="name is empty"):
            add_person(session, email="ada@firm.example", name=" ", role="admin", actor="operator")


def added(session: Session, name: str, role: str) -> User:
    person = add_person(session, email=f"{name}@firm.example", name=name, role=role, actor="operator")
    user = find_user(session, email=person.email)
    assert user is not None
    return user


def actions(session: Session, user: User) -> list[str]:
    return [row.action for row in read_trail(session, subject="user", subject_id=user.user_id)]


class TestLastAdmin:
    def test_can_neither_be_disabled_nor_demoted(self, session: Session) -> None:
        ada, eve = added(session, "ada", "admin"), added(session, "eve", "advisor")
        with pytest.raises(Refused, match="is the last admin"):
            disable_person(session, user_id=ada.user_id, actor="ada")
        with pytest.raises(Refused, match="is the last admin"):
            change_person(session, user_id=ada.user_id, role="viewer", actor="ada")
        change_person(session, user_id=eve.user_id, role="admin", actor="ada")
        assert disable_person(session, user_id=ada.user_id, actor="eve").state == "disabled"
        with pytest.raises(Refused, match="is the last admin"):
            disable_person(session, user_id=eve.user_id, actor="eve")
        enable_person(session, user_id=ada.user_id, actor="eve")
        change_person(session, user_id=eve.user_id, role="viewer", actor="ada")

    def test_may_be_renamed(self, session: Session) -> None:
        ada = added(session, "ada", "admin")
        renamed = change_person(session, user_id=ada.user_id, name=" Ada L. ", role="admin", actor="ada")
        assert (renamed.name, renamed.role) == ("Ada L.", "admin")


class TestChangePerson:
    def test_a_new_role_ends_every_sign_in_and_a_new_name_none(self, session: Session) -> None:
        eve = added(session, "eve", "advisor")
        begin_sign_in(session, eve, Place())
        change_person(session, user_id=eve.user_id, name="Eve B.", actor="ada")
        assert eve.epoch == 1
        change_person(session, user_id=eve.user_id, role="viewer", actor="ada")
        assert eve.epoch == 2
        change_person(session, user_id=eve.user_id, role="viewer", name="Eve B.", actor="ada")
        assert (eve.epoch, actions(session, eve)) == (2, ["add", "change", "change"])

    def test_nobody_and_nonsense_are_refused(self, session: Session) -> None:
        eve = added(session, "eve", "advisor")
        with pytest.raises(NotFound):
            change_person(session, user_id=10**12, name="Eve", actor="ada")
        with pytest.raises(UnknownName):
            change_person(session, user_id=eve.user_id, role="king", actor="ada")
        with pytest.raises(InputError, match="can be printed"):
            change_person(session, user_id=eve.user_id, name="Eve\x00", actor="ada")


class TestDisable:
    def test_twice_is_once(self, session: Session) -> None:
        added(session, "ada", "admin")
        eve = added(session, "eve", "advisor")
        for _ in range(2):
            disable_person(session, user_id=eve.user_id, actor="ada")
        for _ in range(2):
            assert enable_person(session, user_id=eve.user_id, actor="ada").state == "no_password"
        assert actions(session, eve) == ["add", "disable", "enable"]


class TestTemporaryPassword:
    def test_is_to_be_changed_ends_sign_ins_and_is_not_in_the_trail(self, session: Session) -> None:
        eve = added(session, "eve", "advisor")
        begin_sign_in(session, eve, Place())
        password = give_temporary_password(session, user_id=eve.user_id, actor="ada")
        assert is_password(password, eve.password_hash)
        assert eve.must_change_password
        assert find_person(session, email=eve.email).state == "active"
        (_, row) = read_trail(session, subject="user", subject_id=eve.user_id)
        assert (row.action, row.after) == ("reset password", {"ended": 1})

    def test_a_machine_has_none(self, session: Session) -> None:
        machine = added(session, "robot", "service")
        with pytest.raises(Refused, match="needs a key"):
            give_temporary_password(session, user_id=machine.user_id, actor="ada")


class TestGettingBackIn:
    def test_each_verb_is_in_the_trail_and_ends_what_it_should(self, session: Session) -> None:
        eve = added(session, "eve", "advisor")
        begin_second_factor(session, eve)
        begin_sign_in(session, eve, Place())
        reset_second_factor(session, user_id=eve.user_id, actor="ada")
        assert eve.totp_secret is None
        assert end_sign_ins(session, user_id=eve.user_id, actor="ada") == 0, "they ended with the second factor"
        for _ in range(FREE_PAIR):
            admit(session, email=eve.email, address="192.0.2.10")
        assert unlock(session, user_id=eve.user_id, actor="ada") == (FREE_PAIR, 1)
        assert actions(session, eve) == ["add", "end sign-ins", "unlock"]
        with pytest.raises(NotFound):
            find_person(session, email="nobody@firm.example")


class TestSamplePeople:
    def test_every_person_role_is_there_and_the_second_time_changes_nothing(self, session: Session) -> None:
        first, second = sample_people(session), sample_people(session)
        assert {one.role for one in first} == set(ROLES) - {"service"}
        assert [one.user_id for one in first] == [one.user_id for one in second]
        for one in first:
            user = find_user(session, email=one.email)
            assert user is not None
            assert one.password is not None
            assert is_password(one.password, user.password_hash)
            assert not user.must_change_password
            assert one.password not in repr(one)
        assert all(one.password is None for one in second)
