"""Machines' keys: shown once, kept as a hash, never more than their user may, revoked at once."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from auth.actor import Actor
from auth.audit import read_trail
from auth.keys import KEY_PREFIX, find_actor, make_key, revoke_key
from auth.roles import permissions_of
from auth.scope import enter
from core.clock import fixed_clock
from core.errors import InputError, NotFound, NotSignedIn, Refused, UnknownName
from database.queries.users import add_user
from database.session import Session
from database.tables.users import User
from tests.conftest import NOW


def somebody(session: Session, role: str, name: str = "Somebody") -> User:
    return add_user(session, User(email=f"{name}.{role}@firm.example".lower(), name=name, role=role, epoch=1))


def acting(user: User) -> Actor:
    return Actor(user.user_id, user.email, user.role, user.epoch, "bearer", permissions_of(user.role))


@pytest.fixture
def admin(session: Session) -> User:
    return somebody(session, "admin")


@pytest.fixture
def machine(session: Session) -> User:
    return somebody(session, "service")


def made(
    session: Session, machine: User, admin: User, permissions: list[str] | None = None, days: int | None = 90
) -> str:
    _, key = make_key(
        session, user_id=machine.user_id, name="export", permissions=permissions, days=days, actor=acting(admin)
    )
    return key


class TestMakeKey:
    def test_is_shown_once_and_kept_as_a_hash(self, session: Session, machine: User, admin: User) -> None:
        row, key = make_key(
            session, user_id=machine.user_id, name=" export ", permissions=None, days=90, actor=acting(admin)
        )
        assert key.startswith(KEY_PREFIX)
        assert key.startswith(row.prefix)
        assert len(key) - len(row.prefix) > 40
        assert (row.name, row.created_by, row.expires_at) == ("export", admin.user_id, NOW + timedelta(days=90))
        secret = key.removeprefix(row.prefix)
        assert secret not in str(session.execute(text("select * from api_keys")).all())
        assert secret not in str(session.execute(text("select * from audit")).all())
        assert [one.action for one in read_trail(session, subject="api key", subject_id=row.api_key_id)] == ["add"]

    def test_nobody_gets_a_key_in_another_persons_name(self, session: Session, admin: User) -> None:
        advisor = somebody(session, "advisor")
        with pytest.raises(Refused, match="would act in their name"):
            made(session, advisor, admin)
        with pytest.raises(Refused, match="would act in their name"):
            made(session, somebody(session, "admin", "Another"), admin)
        assert find_actor(session, made(session, admin, admin)).user_id == admin.user_id

    @pytest.mark.parametrize(
        ("permissions", "error", "why"),
        [
            (["models.train"], InputError, "models.train, which the role service does not have"),
            (["fly"], UnknownName, "unknown permission 'fly'"),
            ([], InputError, "permissions is empty"),
        ],
    )
    def test_never_more_than_the_user_may(
        self, session: Session, machine: User, admin: User, permissions: list[str], error: type[Exception], why: str
    ) -> None:
        with pytest.raises(error, match=why):
            made(session, machine, admin, permissions)

    def test_of_nobody_and_of_somebody_disabled(self, session: Session, machine: User, admin: User) -> None:
        with pytest.raises(NotFound):
            make_key(session, user_id=10**12, name="export", permissions=None, days=1, actor=acting(admin))
        machine.disabled_at = NOW
        with pytest.raises(Refused, match="is disabled"):
            made(session, machine, admin)


class TestFindActor:
    def test_acts_as_its_user_with_some_of_the_permissions(self, session: Session, machine: User, admin: User) -> None:
        actor = find_actor(session, made(session, machine, admin, ["clients.read", "self"]))
        assert (actor.user_id, actor.role, actor.via) == (machine.user_id, "service", "key")
        assert actor.permissions == {"clients.read", "self"}
        enter(session, actor)

    def test_another_role_takes_what_it_does_not_have(self, session: Session, machine: User, admin: User) -> None:
        key = made(session, machine, admin, ["clients.read", "market.read"])
        machine.role = "analyst"
        session.flush()
        assert find_actor(session, key).permissions == {"market.read"}

    @pytest.mark.parametrize("key", ["acis_", "acis_00000000_x", "acis_" + "x" * 5000, "acis_\x00"])
    def test_an_unknown_one_is_refused_and_not_repeated(self, session: Session, key: str) -> None:
        with pytest.raises(NotSignedIn, match="unknown, revoked or past its date") as refused:
            find_actor(session, key)
        assert key not in str(refused.value)

    def test_counts_until_its_date_its_revocation_or_the_end_of_its_user(
        self, session: Session, machine: User, admin: User
    ) -> None:
        key, forever = made(session, machine, admin, days=1), made(session, machine, admin, days=None)
        with fixed_clock(NOW + timedelta(days=1)):
            find_actor(session, forever)
            with pytest.raises(NotSignedIn):
                find_actor(session, key)
        actor = find_actor(session, forever)
        assert actor.api_key_id is not None
        revoke_key(session, user_id=machine.user_id, api_key_id=actor.api_key_id, actor=acting(admin))
        for work in (lambda: find_actor(session, forever), lambda: enter(session, actor)):
            with pytest.raises(NotSignedIn):
                work()
        machine.disabled_at = NOW
        session.flush()
        with pytest.raises(NotSignedIn):
            find_actor(session, key)

    def test_notes_its_use_once_a_minute(self, session: Session, machine: User, admin: User) -> None:
        key = made(session, machine, admin)
        seen = []
        for seconds in (0, 59, 61, 90):
            with fixed_clock(NOW + timedelta(seconds=seconds)):
                find_actor(session, key)
            seen.append(session.scalar(text("select last_used_at from api_keys")))
        assert seen == [NOW, NOW, NOW + timedelta(seconds=61), NOW + timedelta(seconds=61)]


class TestRevokeKey:
    def test_of_another_user_or_twice_is_not_found(self, session: Session, machine: User, admin: User) -> None:
        made(session, machine, admin)
        number = session.scalar(text("select api_key_id from api_keys"))
        assert isinstance(number, int)
        with pytest.raises(NotFound):
            revoke_key(session, user_id=admin.user_id, api_key_id=number, actor=acting(admin))
        revoke_key(session, user_id=machine.user_id, api_key_id=number, actor=acting(admin))
        with pytest.raises(NotFound):
            revoke_key(session, user_id=machine.user_id, api_key_id=number, actor=acting(admin))
