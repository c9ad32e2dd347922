"""`acis explain`: from an order back to everything that it came from."""

from typing import Annotated, Any

import typer
from rich.tree import Tree

from cli.arguments import JsonFlag
from cli.output import print_json, stdout
from database.session import transaction
from trading.service import explain_order

group = typer.Typer(no_args_is_help=True)


@group.callback()
def _words() -> None:
    """Keeps `order` a word of its own: more things will be explained."""


@group.command("order")
def order(
    order_id: Annotated[int, typer.Argument(help="Number of the order.")],
    as_json: JsonFlag = False,
) -> None:
    """Trace an order to its recommendation, weights, allocator, score, screener, features, regime, data and code."""
    with transaction() as session:
        chain = explain_order(session, order_id=order_id)
    if as_json:
        print_json(chain)
        return
    tree = Tree(f"order {order_id}")
    _grow(tree, chain)
    stdout.print(tree)


def _grow(tree: Tree, value: Any) -> None:
    """Hang a JSON value under a branch; long lists are cut, with their length said."""
    shown = 12
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                _grow(tree.add(f"[bold]{key}[/bold]"), item)
            else:
                tree.add(f"{key}: {item}", highlight=False)
    elif isinstance(value, list):
        for item in value[:shown]:
            if isinstance(item, dict | list):
                _grow(tree.add("-"), item)
            else:
                tree.add(str(item), highlight=False)
        if len(value) > shown:
            tree.add(f"... {len(value) - shown} more of {len(value)}; --json shows all")
