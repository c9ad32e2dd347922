"""`acis keys`: the keys that models are signed with."""

import typer

from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say
from core.config import get_settings
from registry.signing import own_key_id, rotate_key, trust_own_key, trusted_keys

group = typer.Typer(no_args_is_help=True)


@group.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the trusted keys, and which of them signs here."""
    settings, own, trusted = get_settings(), own_key_id(), sorted(trusted_keys())
    if as_json:
        print_json(
            {
                "signing_key": own,
                "signing_key_file": settings.signing_key_file,
                "trusted_keys": trusted,
                "trusted_keys_dir": settings.trusted_keys_dir,
            }
        )
        return
    print_table(
        "keys whose models may serve",
        ["key", "signs here"],
        [(key, "yes" if key == own else "") for key in trusted],
        caption=f"in {settings.trusted_keys_dir}; signing key {own or 'not made yet'}: {settings.signing_key_file}",
    )


@group.command("trust")
def trust(as_json: JsonFlag = False) -> None:
    """Put this installation's public key among the trusted ones, where a list of them is kept already."""
    key = trust_own_key()
    if as_json:
        print_json({"trusted": key})
    else:
        say(f"models signed by {key} may serve")


@group.command("rotate")
def rotate(as_json: JsonFlag = False) -> None:
    """Sign with a new key from now on; what the old one signed serves until its file is taken away."""
    before, after = rotate_key()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        say(f"models are signed by {after} from now on; {before or 'no key'} signed before and stays trusted")
