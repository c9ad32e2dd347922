"""`acis up`: everything on this machine, until Ctrl-C."""

import signal
import threading

import typer

from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say
from cli.stack import ServerState, supervise
from cli.welcome import sample_sign_ins


def command(as_json: JsonFlag = False) -> None:
    """Start the database, the queue, MLflow, the API, the worker and the dispatcher; Ctrl-C stops them all."""
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: stopping.set())
    if not supervise(stopping, tell=say, on_ready=print_json if as_json else _show):
        raise typer.Exit(1)


def _show(states: list[ServerState]) -> None:
    rows = [(state.name, "ready" if state.ready else "not ready", state.address) for state in states]
    print_table("acis up", ["server", "state", "address"], rows, caption="Ctrl-C stops everything; logs are in var/log")
    sign_ins = [person for person in sample_sign_ins() if person.password]
    if sign_ins:
        print_table(
            "sample sign-ins",
            ["e-mail", "role", "password"],
            [(person.email, person.role, person.password) for person in sign_ins],
            caption="told this once; `acis people reset-password E-MAIL` makes a new one",
        )
