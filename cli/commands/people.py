"""`acis people`: who works here, and how somebody gets back in when no admin can help."""

from typing import Annotated

import typer

from auth import people
from auth.second_factor import reseal_second_factors
from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say
from cli.welcome import sample_sign_ins
from database.session import transaction

group = typer.Typer(no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="E-mail address.")]
_OPERATOR = "operator"


@group.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List everybody with their role and state."""
    with transaction() as session:
        found = people.list_people(session)
    if as_json:
        print_json(found)
        return
    print_table(
        "people",
        ["e-mail", "name", "role", "state", "second factor", "signed in"],
        [
            (
                one.email,
                one.name,
                one.role,
                one.state,
                "on" if one.has_second_factor else "off",
                one.last_signed_in_at and f"{one.last_signed_in_at:%Y-%m-%d %H:%M}",
            )
            for one in found
        ],
    )


@group.command("add")
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="Name.")],
    role: Annotated[str, typer.Option(help="admin, advisor, analyst, viewer or service.")],
    as_json: JsonFlag = False,
) -> None:
    """Add somebody; the address is who they are in every record. Their first password is told once."""
    with transaction() as session:
        person = people.add_person(session, email=email, name=name, role=role, actor=_OPERATOR)
        password = None
        if role != "service":
            password = people.give_temporary_password(session, user_id=person.user_id, actor=_OPERATOR)
        person = people.find_person(session, email=email)
    if as_json:
        print_json({**vars(person), "temporary_password": password})
        return
    say(f"{person.name} <{person.email}> is {person.role}")
    if password is not None:
        _tell(password)


@group.command("sample")
def sample(as_json: JsonFlag = False) -> None:
    """Add the sample firm's people, one of every role, with clients to look after; passwords are told once."""
    found = sample_sign_ins()
    if as_json:
        print_json(found)
        return
    print_table(
        "sample people",
        ["e-mail", "role", "password"],
        [(one.email, one.role, one.password or "told before") for one in found],
        caption="" if found else "somebody can sign in already, or this is production: `acis people add`",
    )


@group.command("reset-password")
def reset_password(email: Email, as_json: JsonFlag = False) -> None:
    """Give somebody a temporary password, told once; every sign-in of theirs ends."""
    with transaction() as session:
        person = people.find_person(session, email=email)
        password = people.give_temporary_password(session, user_id=person.user_id, actor=_OPERATOR)
    if as_json:
        print_json({"email": person.email, "temporary_password": password})
    else:
        _tell(password)


@group.command("reset-second-factor")
def reset_second_factor(email: Email) -> None:
    """Forget somebody's lost authenticator; every sign-in of theirs ends."""
    with transaction() as session:
        person = people.find_person(session, email=email)
        people.reset_second_factor(session, user_id=person.user_id, actor=_OPERATOR)
    say(f"{person.email} signs in with the password alone")


@group.command("unlock")
def unlock(email: Email) -> None:
    """Forget somebody's failed tries to sign in."""
    with transaction() as session:
        person = people.find_person(session, email=email)
        failures, addresses = people.unlock(session, user_id=person.user_id, actor=_OPERATOR)
    say(f"{person.email}: {failures} failed tries from {addresses} addresses are forgotten")


@group.command("reseal")
def reseal() -> None:
    """Seal every second factor with the newest of ACIS_VAULT_KEYS; the older keys may then go."""
    with transaction() as session:
        count = reseal_second_factors(session)
    say(f"{count} second factors were sealed anew")


def _tell(password: str) -> None:
    say("temporary password, told once, good for a week and for nothing but choosing an own one:")
    say(f"  {password}")
