"""People are known by one address in one spelling, and their roles are a list."""

import pytest

from auth.audit import read_trail
from auth.people import add_person, list_people
from core.errors import InputError, Refused, UnknownName
from database.queries.users import find_user
from database.session import Session


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
