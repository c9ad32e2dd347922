"""`acis people`: who works here. Signing in comes with the web API; overriding the gate takes two of them today."""

from typing import Annotated

import typer

from auth.people import add_person, list_people
from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say
from database.session import transaction

group = typer.Typer(no_args_is_help=True)


@group.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List everybody with their role."""
    with transaction() as session:
        people = list_people(session)
    if as_json:
        print_json(people)
        return
    print_table("people", ["e-mail", "name", "role"], [(one.email, one.name, one.role) for one in people])


@group.command("add")
def add(
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    name: Annotated[str, typer.Option(help="Name.")],
    role: Annotated[str, typer.Option(help="admin, advisor, analyst, viewer or service.")],
    as_json: JsonFlag = False,
) -> None:
    """Add somebody; the address is who they are in every record."""
    with transaction() as session:
        person = add_person(session, email=email, name=name, role=role, actor="operator")
    if as_json:
        print_json(person)
    else:
        say(f"{person.name} <{person.email}> is {person.role}")
