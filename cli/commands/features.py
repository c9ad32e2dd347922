"""`acis features`: build the feature snapshots, and say what the features are."""

from typing import Annotated

import typer

from cli.arguments import JsonFlag
from cli.output import print_json, print_table, say, shown_progress
from features.service import describe, feature_names
from mlops.jobs.build_features import run_build_features

group = typer.Typer(no_args_is_help=True)


@group.command("build")
def build(as_json: JsonFlag = False) -> None:
    """Build the years whose data or code changed; a second build finds none."""
    with shown_progress() as progress:
        report = run_build_features(progress=progress)
    if as_json:
        print_json(report)
    else:
        built = ", ".join(map(str, report.years_built)) or "none"
        say(
            f"{report.features} features to {report.last_on}; built {built} ({report.rows_written:,} rows);"
            f" {len(report.years_fresh)} years were fresh"
        )


@group.command("list")
def list_(
    group_name: Annotated[str | None, typer.Option("--group", help="Only this group.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List every feature with its meaning, unit, look-back and publication lag."""
    found = [describe(name) for name in feature_names()]
    found = [one for one in found if group_name in (None, one.group)]
    if as_json:
        print_json(found)
        return
    print_table(
        "features",
        ["feature", "group", "what", "unit", ">look-back", ">lag days"],
        [(one.name, one.group, one.description, one.unit, one.look_back, one.lag_days) for one in found],
        caption="look-back in sessions; lag: least age in days of the newest datum used",
    )
