"""`acis migrate`: bring the database to the newest schema."""

from cli.arguments import JsonFlag
from cli.output import print_json, say
from database.schema import migrate
from database.session import engine


def command(as_json: JsonFlag = False) -> None:
    """Bring the database to the newest schema; a second run changes nothing."""
    before, after = migrate(engine())
    if as_json:
        print_json({"before": before, "after": after, "changed": before != after})
    elif before == after:
        say(f"the schema is at revision {after} already")
    else:
        say(f"the schema went from {before or 'nothing'} to revision {after}")
