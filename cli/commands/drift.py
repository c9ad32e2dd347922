"""`acis drift`: what has drifted, how far and since when; read it, and act on it, for one session or many."""

from datetime import date
from typing import Annotated, Any

import typer

from cli.arguments import JsonFlag, parse_date, parse_years
from cli.output import print_json, print_table, say, shown_progress
from core.errors import DataMissing, InputError
from core.jobs import RespondToDrift
from database.queries import drift as queries
from database.session import Session, transaction
from market_data.calendars import sessions_between
from market_data.service import latest_session, require_session
from mlops.jobs.respond_to_drift import run_respond_to_drift
from mlops.jobs.watch_drift import run_watch_drift
from registry.drift import DriftReport, report
from registry.drift_history import alarm_history
from registry.drift_state import drift_state

group = typer.Typer(invoke_without_command=True)
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="Session (YYYY-MM-DD); default: the latest.")]
_SHOWN = 15
_RESPONSES_DAYS = 92


@group.callback()
def overview(context: typer.Context, as_of: AsOfOption = None, as_json: JsonFlag = False) -> None:
    """Show what was read of every model on the newest session, the features that drifted and what followed."""
    if context.invoked_subcommand is not None:
        return
    with transaction() as session:
        day = _read_on(session, as_of)
        told = report(session, as_of=day)
        followed = _responses(session, day)
    if as_json:
        print_json({"report": told, "responses": followed})
        return
    _show_report(told)
    _show_responses(followed)


def _read_on(session: Session, as_of: str | None) -> date:
    """The newest session that was read up to `as_of`."""
    wanted = parse_date(as_of, "--as-of") if as_of else latest_session(session)
    newest = queries.newest_session(session, as_of=wanted)
    if newest is None:
        raise DataMissing(f"no drift was read up to {wanted}: run `acis drift run --as-of {wanted}`")
    return newest


def _responses(session: Session, as_of: date) -> list[dict[str, Any]]:
    """What followed from alarms in the quarter up to `as_of`, oldest first."""
    first_on = date.fromordinal(as_of.toordinal() - _RESPONSES_DAYS)
    runs = queries.runs_between(session, job=RespondToDrift.name, first_on=first_on, last_on=as_of)
    return [{"session_on": run.as_of, **response} for run in runs for response in run.result["responses"]]


def _show_report(told: DriftReport) -> None:
    print_table(
        f"models on {told.session_on}",
        ["model", ">version", "state", "in words"],
        [(model.name, model.version, model.state, model.sentence) for model in told.models],
        caption=f"{len(told.drifted)} of {told.features} features are beyond their own alarm line",
    )
    if told.drifted:
        names = list(told.drifted)[:_SHOWN]
        print_table("features that drifted", ["feature", "in words"], [(name, told.drifted[name]) for name in names])


def _show_responses(followed: list[dict[str, Any]]) -> None:
    if followed:
        print_table(
            "what followed from alarms in the last quarter",
            ["session", "model", ">version", ">retrained as", "gate", "decision"],
            [
                (
                    one["session_on"],
                    one["name"],
                    one["version"],
                    one["retrained"] or "-",
                    (one["verdict"] or "-").replace("_", " "),
                    one["decision"],
                )
                for one in followed
            ],
        )


@group.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A model, for instance screener-growth_largecap, or a feature.")],
    as_of: AsOfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show every measure of one model or feature on the newest session that was read."""
    with transaction() as session:
        day = _read_on(session, as_of)
        state = drift_state(session, name=name, as_of=day)
        rows = queries.newest_readings(session, subject=name, as_of=day)
        followed = [one for one in _responses(session, day) if one["name"] == name]
    if not rows:
        raise InputError(f"{name!r} was not read up to {day}: name a model or a feature that `acis drift` knows")
    readings = [
        {
            "session_on": row.session_on,
            "model_version_id": row.model_version_id,
            "measure": row.measure,
            "value": row.value,
            "threshold": row.threshold,
            "p_value": row.p_value,
            "is_alarm": row.is_alarm,
            "summary": row.summary,
        }
        for row in rows
    ]
    if as_json:
        print_json({"state": state, "readings": readings, "responses": followed})
        return
    say(f"{name} on {state.read_on}: {state.state}; {state.sentence}")
    print_table(
        "measures",
        ["measure", ">value", ">line", ">p", "in words"],
        [
            (one["measure"], _figure(one["value"]), _figure(one["threshold"]), _figure(one["p_value"]), one["summary"])
            for one in readings
        ],
    )
    _show_responses(followed)


def _figure(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"


@group.command("run")
def run(
    as_of: AsOfOption = None,
    first: Annotated[str | None, typer.Option("--from", help="Read every session from here on.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last session; default: the latest.")] = None,
    every: Annotated[int, typer.Option(help="Read every n-th session only.", min=1)] = 1,
    watch_only: Annotated[
        bool, typer.Option("--watch-only", help="Read and alert; hold, train, judge nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read the drift of one session, or of a stretch of history, and act on alarms as the nightly jobs do."""
    if as_of and (first or last):
        raise InputError("--as-of names one session and --from, --to a stretch: give one or the other")
    told = []
    for day in _sessions(as_of, first, last)[::every]:
        with shown_progress() as progress:
            read = run_watch_drift(as_of=day, progress=progress)
            followed = [] if watch_only else run_respond_to_drift(as_of=day, progress=progress)
        told.append({**read, "responses": followed})
    if as_json:
        print_json(told)
        return
    print_table(
        "drift by session",
        ["session", ">features drifted", "models that alarm", "models that have drifted", "what followed"],
        [_line(one) for one in told],
    )


@group.command("history")
def history(
    years: Annotated[str, typer.Option(help="Years: 2017, 2016,2017 or 2012-2017.")] = "2012-2017",
    as_json: JsonFlag = False,
) -> None:
    """Show how often features would have alarmed in past years, beside what the textbook's tests say of the same."""
    with shown_progress() as progress, transaction() as session:
        told = alarm_history(session, years=parse_years(years, "--years"), progress=progress)
    if as_json:
        print_json(told)
        return
    print_table(
        "feature-months that alarm, each year against the five before",
        ["year", ">features", ">moved", ">gaps", ">KS p<0.05", ">PSI>0.1", ">PSI>0.25", ">model months", "most alarms"],
        [
            (
                one.year,
                one.features,
                *(f"{share:.1%}" for share in (one.moved, one.gaps, one.ks, one.psi_moderate, one.psi_large)),
                f"{one.model_months} of {one.months}",
                ", ".join(one.drifted) or "-",
            )
            for one in told
        ],
        caption="ours: any of the month's days; the others: the month's last day",
    )


def _sessions(as_of: str | None, first: str | None, last: str | None) -> list[date]:
    with transaction() as session:
        newest = latest_session(session)
    if first is None:
        return [require_session(parse_date(as_of, "--as-of")) if as_of else newest]
    begin, end = parse_date(first, "--from"), parse_date(last, "--to") if last else newest
    sessions = sessions_between(begin, end)
    if not sessions:
        raise InputError(f"no session lies between {begin} and {end}: --from must not be after --to")
    return sessions


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    alarming = [model["name"] for model in one["models"] if model["alarms"]]
    drifted = [model["name"] for model in one["models"] if model["state"] == "alarm"]
    followed = "; ".join(f"{response['name']} {response['decision'].split(':')[0]}" for response in one["responses"])
    return (
        one["session_on"],
        f"{one['features_drifted']} of {one['features']}",
        _counted(alarming),
        _counted(drifted),
        followed or "-",
    )


def _counted(names: list[str]) -> str:
    short = [name.removeprefix("screener-") for name in names]
    return f"{len(names)}: {', '.join(short)}" if names else "none"
