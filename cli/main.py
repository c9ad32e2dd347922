"""`acis`: the operator's hand."""

import sys
from importlib import import_module

import typer
from typer.exceptions import TyperException

from cli.commands import COMMANDS
from core.config import get_settings
from core.errors import AcisError, UnknownName
from core.log import configure_logs

INTERRUPTED = 130


def build_app(words: list[str]) -> typer.Typer:
    """The command line with the commands of `words`."""
    app = typer.Typer(
        name="acis",
        help="Machine-learned portfolios that financial advisors can explain and trust.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for word in words:
        module = import_module(f"cli.commands.{word}")
        if hasattr(module, "group"):
            app.add_typer(module.group, name=word, help=COMMANDS[word])
        else:
            app.command(word, help=COMMANDS[word])(module.command)
    return app


def _root() -> None:
    """Keeps Typer from taking a lone command for the whole program."""


def run() -> None:
    """Parse, run, and answer with one line and the exit code when something is wrong."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        configure_logs(get_settings())
        word = arguments[0]
        if not word.startswith("-") and word not in COMMANDS:
            raise UnknownName("command", word, list(COMMANDS))
        app = build_app([word] if word in COMMANDS else list(COMMANDS))
        code = app(args=arguments, standalone_mode=False)
    except TyperException as error:
        code = _refuse(error.format_message(), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = _refuse("stopped", INTERRUPTED)
    except AcisError as error:
        code = _refuse(str(error), error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"acis: {' '.join(message.split())}\n")
    return code
