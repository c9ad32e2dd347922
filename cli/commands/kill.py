"""`acis kill`: stop orders from leaving, with the database alone; for the hour in which the service does not answer."""

from typing import Annotated

import typer

from cli.arguments import JsonFlag, asker, parse_strategy
from cli.output import print_json, print_table, say
from core.errors import InputError, NotFound
from database.queries.households import find_client
from database.queries.kill_switches import engaged_switches
from database.session import transaction
from strategies.library import STRATEGIES
from trading import kill_switch

group = typer.Typer(no_args_is_help=True)
_SHOWN = ("kill_switch_id", "scope", "client_id", "strategy", "engaged_at", "engaged_by", "reason")
Reason = Annotated[str, typer.Option(help="Why; those who come later will ask.")]


@group.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the switches that are on."""
    with transaction() as session:
        switches = engaged_switches(session)
    if as_json:
        print_json([{name: getattr(one, name) for name in _SHOWN} for one in switches])
        return
    rows = [
        (
            one.kill_switch_id,
            one.scope,
            one.client_id or one.strategy,
            f"{one.engaged_at:%Y-%m-%d %H:%M} UTC",
            one.engaged_by,
            one.reason,
        )
        for one in switches
    ]
    print_table("kill switches", ["id", "scope", "of", "since", "by", "reason"], rows)


@group.command("engage")
def engage(
    reason: Reason,
    everything: Annotated[bool, typer.Option("--everything", help="The whole firm.")] = False,
    client: Annotated[int | None, typer.Option(help="One client, by number.")] = None,
    strategy: Annotated[str | None, typer.Option(help="One strategy.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Stop every order of a client, a strategy or the whole firm; it holds until somebody releases it."""
    if (everything, client is not None, strategy is not None).count(True) != 1:
        raise InputError("name exactly one of --everything, --client NUMBER and --strategy NAME")
    with transaction() as session:
        if client is not None and find_client(session, client_id=client) is None:
            raise NotFound("client", client)
        thrown = kill_switch.engage(
            session,
            scope="everything" if everything else "client" if client is not None else "strategy",
            client_id=client,
            strategy=None if strategy is None else parse_strategy(strategy),
            reason=reason,
            known_strategies=STRATEGIES,
            actor=asker(),
        )
    if as_json:
        print_json(thrown)
        return
    say(f"kill switch {thrown.kill_switch_id} is on: no order under it leaves")
    if not thrown.is_settled:
        say("a call to a broker was open for more than a second; what it holds may still arrive: `acis orders list`")


@group.command("release")
def release(
    kill_switch_id: Annotated[int, typer.Argument(help="Its number in `acis kill list`.")],
    reason: Reason,
    typed: Annotated[str | None, typer.Option(help="The word everything, where all was stopped.")] = None,
) -> None:
    """Let orders leave again; what was withheld waits for the next sending."""
    with transaction() as session:
        kill_switch.release(session, kill_switch_id=kill_switch_id, reason=reason, actor=asker(), typed=typed)
    say(f"kill switch {kill_switch_id} is off")
