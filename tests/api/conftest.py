"""A firm to call the service as: two advisors with a client each, and one person of every role."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from auth.tokens import make_access_token
from database.session import transaction
from database.tables.households import AdvisorAssignment
from database.tables.users import User
from tests.factories.accounts import create_account, create_client, create_mandate

ROLES = ("admin", "advisor", "other_advisor", "analyst", "viewer", "service")


@dataclass(frozen=True)
class Firm:
    """Who is who: user ids by role, and of each advisor the client and account that only they look after."""

    users: dict[str, int]
    clients: dict[str, int]
    accounts: dict[str, int]

    def token(self, role: str) -> str:
        """An access token of the person with this role."""
        word = role.removeprefix("other_")
        return make_access_token(
            user_id=self.users[role], email=f"{role}@firm.example", role=word, epoch=1, sign_in_id=None
        )


@pytest.fixture(scope="module")
def firm(committed_database: str) -> Firm:
    """A firm in this module's own database, committed."""
    users, clients, accounts = {}, {}, {}
    with transaction() as session:
        for role in ROLES:
            user = User(email=f"{role}@firm.example", name=role.title(), role=role.removeprefix("other_"))
            session.add(user)
            session.flush()
            users[role] = user.user_id
        for role in ("advisor", "other_advisor"):
            client = create_client(session, name=f"Client of {role}")
            session.add(
                AdvisorAssignment(advisor_id=users[role], client_id=client.client_id, start_on=date(2017, 1, 1))
            )
            account = create_account(session, client=client)
            create_mandate(session, account)
            clients[role], accounts[role] = client.client_id, account.account_id
    return Firm(users, clients, accounts)


@pytest.fixture(scope="module")
def service(firm: Firm) -> Iterator[TestClient]:
    """The application, called in process; nobody is signed in."""
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def as_role(service: TestClient, firm: Firm) -> Callable[[str], TestClient]:
    """The application as somebody of a role calls it, with a bearer token."""

    def client(role: str) -> TestClient:
        made = TestClient(service.app, raise_server_exceptions=False)
        made.headers["Authorization"] = f"Bearer {firm.token(role)}"
        return made

    return client
