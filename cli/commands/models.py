"""`acis models`: what every model is worth and who serves; promote, override, roll back, hold, release."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say, shown_progress
from core.errors import InputError
from database.session import Session, transaction
from mlops.jobs.judge_models import run_judge_models
from registry.decisions import (
    Decision,
    ask_override,
    confirm_override,
    hear_gate,
    hold_champion,
    newest_session,
    promote_version,
    release_champion,
    roll_back_champion,
)
from registry.portrait import (
    Gate,
    ModelLine,
    Portrait,
    VersionPortrait,
    compare_versions,
    list_models,
    show_model,
    to_compare,
)
from registry.records import NOTE, Record

group = typer.Typer(no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the model, as `acis models list` shows it.")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="Date (YYYY-MM-DD); default: the newest session.")]
OnOption = Annotated[str | None, typer.Option("--on", help="From which date it counts; default: the newest session.")]
ByOption = Annotated[str, typer.Option("--by", help="E-mail address of who decides.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]


@group.command("list")
def list_(as_of: AsOfOption = None, as_json: JsonFlag = False) -> None:
    """List every model: versions, champion and challenger, the gate's verdict, drift, open alerts."""
    with transaction() as session:
        day = _as_of(session, as_of)
        lines = list_models(session, as_of=day)
    if as_json:
        print_json({"as_of": day, "note": NOTE, "models": lines})
        return
    if not lines:
        say("no models yet: `acis train screener` and `acis train allocator` train them")
        return
    print_table(
        f"models as of {day}",
        ["model", ">versions", ">newest", ">champion", ">challenger", "gate, newest version", "drift", ">alerts"],
        [_line(line) for line in lines],
        caption="without a champion the plain rule and the best simple allocator serve; `acis models show NAME`",
    )


def _line(line: ModelLine) -> tuple[Any, ...]:
    return (
        line.name,
        line.versions,
        line.newest,
        line.champion,
        line.challenger,
        f"{_said(line.verdict)}: {line.reason}",
        line.drift,
        line.alerts or None,
    )


@group.command("show")
def show(name: NameArgument, as_of: AsOfOption = None, as_json: JsonFlag = False) -> None:
    """Show a model: its versions, the gate's verdict in words and numbers, shadow results, lineage, history."""
    with transaction() as session:
        portrait = show_model(session, name=name, as_of=_as_of(session, as_of))
    if as_json:
        print_json({"note": NOTE, **vars(portrait)})
        return
    _show_standing(portrait)
    newest = next(one for one in portrait.versions if one.version == portrait.newest)
    _show_gate(f"{name} version {newest.version}", newest.gate)
    _show_record(newest.gate, newest.record)
    _show_shadow(portrait)
    _show_versions(portrait)
    print_table(
        "history of roles, newest first",
        ["from", "role", "change", ">version", "by", "reason"],
        [
            (row.effective_on, row.role, row.action, row.version, _people(row.actor, row.second_actor), row.reason)
            for row in portrait.history
        ],
    )


def _show_standing(portrait: Portrait) -> None:
    say(
        f"{portrait.name} as of {portrait.as_of}: champion {portrait.champion or 'nobody'}, challenger"
        f" {portrait.challenger or 'nobody'}{f', on hold {portrait.on_hold}' if portrait.on_hold else ''}"
    )
    say(f"drift: {portrait.drift.state}: {portrait.drift.sentence}")
    for alert in portrait.alerts:
        say(f"alert, {alert}")


def _show_gate(title: str, gate: Gate) -> None:
    say(f"gate on {title}: {_said(gate.verdict)}{f' as of {gate.as_of}' if gate.as_of else ''}: {gate.reason}")
    if gate.checks:
        print_table(
            "checks of the gate",
            ["check", "", ">value", ">bar", "in words"],
            [
                (
                    check["name"].replace("_", " ") + (" (hard)" if check["is_hard"] else ""),
                    _said(check["status"]),
                    _number(check["value"]),
                    _number(check["bar"]),
                    check["sentence"],
                )
                for check in gate.checks
            ],
            caption=gate.basis,
        )


def _show_record(gate: Gate, record: tuple[Record, ...]) -> None:
    if record:
        print_table(
            "returns of the configuration and of what it is held against",
            ["series", "from", "to", ">sessions", ">total", ">a year", ">volatility", ">Sharpe", ">drawdown"],
            [_record(one) for one in record],
            caption=f"{NOTE}; {gate.trials or 'uncounted'} trials; nothing shorter than a year is annualised",
        )


def _record(one: Record) -> tuple[Any, ...]:
    return (
        one.series.replace("_", " "),
        one.from_on,
        one.to_on,
        one.sessions,
        _percent(one.total_return),
        _percent(one.annual_return),
        _percent(one.annual_volatility),
        None if one.sharpe is None else f"{one.sharpe:.2f}",
        _percent(one.drawdown_max),
    )


def _show_shadow(portrait: Portrait) -> None:
    if portrait.shadow:
        print_table(
            "shadow ledger: what each lane would be worth",
            ["lane", "from", "to", ">sessions", ">total", ">drawdown"],
            [
                (
                    one.series,
                    one.from_on,
                    one.to_on,
                    one.sessions,
                    _percent(one.total_return),
                    _percent(one.drawdown_max),
                )
                for one in portrait.shadow
            ],
            caption=f"{NOTE}; not annualised",
        )


def _show_versions(portrait: Portrait) -> None:
    print_table(
        "versions, newest first",
        [
            "version",
            "algorithm",
            "serves from",
            "to",
            "last label",
            "gate",
            ">DSR",
            ">PBO",
            ">trials",
            "features",
            "commit",
            "artefact",
        ],
        [
            (
                f"{one.version}{''.join(f' {alias}' for alias in one.aliases)}",
                one.algorithm,
                one.valid_from_on,
                one.valid_to_on,
                one.last_label_on,
                _said(one.gate.verdict),
                _number(one.gate.deflated_sharpe),
                _number(one.gate.overfitting),
                one.gate.trials,
                *(str(one.lineage[key])[:10] for key in ("feature_hash", "code_commit", "artefact_sha256")),
            )
            for one in portrait.versions
        ],
        caption=f"DSR and PBO: {NOTE}, each after the trials in its line; hashes shortened, --json has them whole",
    )


@group.command("compare")
def compare(
    name: NameArgument,
    first: Annotated[int | None, typer.Argument(help="Version; default: the champion.")] = None,
    second: Annotated[int | None, typer.Argument(help="Version; default: the challenger.")] = None,
    as_of: AsOfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put two versions of a model side by side: champion and challenger, or any two."""
    if (first is None) != (second is None):
        raise InputError(f"second is missing: name two versions to compare with {first}, or none")
    with transaction() as session:
        day = _as_of(session, as_of)
        pair = (
            (first, second) if first is not None and second is not None else to_compare(session, name=name, as_of=day)
        )
        left, right = compare_versions(session, name=name, versions=pair, as_of=day)
    if as_json:
        print_json({"note": NOTE, "name": name, "as_of": day, "versions": [left, right]})
        return
    print_table(
        f"{name} as of {day}",
        ["", f">version {left.version}", f">version {right.version}"],
        [(label, of(left), of(right)) for label, of in _COMPARED],
        caption=f"{NOTE}; version {left.version}: {left.gate.basis}; version {right.version}: {right.gate.basis}",
    )


def _own(one: VersionPortrait, value: Callable[[Record], Any]) -> Any:
    own = next(iter(one.record), None)
    return None if own is None else value(own)


_COMPARED: tuple[tuple[str, Callable[[VersionPortrait], Any]], ...] = (
    ("role", lambda one: ", ".join(one.aliases)),
    ("algorithm", lambda one: one.algorithm),
    ("serves from", lambda one: one.valid_from_on),
    ("last label", lambda one: one.last_label_on),
    ("gate", lambda one: _said(one.gate.verdict)),
    ("trials", lambda one: one.gate.trials),
    ("deflated Sharpe ratio", lambda one: _number(one.gate.deflated_sharpe)),
    ("probability of overfitting", lambda one: _number(one.gate.overfitting)),
    ("sessions", lambda one: _own(one, lambda own: own.sessions)),
    ("total return", lambda one: _own(one, lambda own: _percent(own.total_return))),
    ("return a year", lambda one: _own(one, lambda own: _percent(own.annual_return))),
    ("Sharpe ratio", lambda one: _own(one, lambda own: _number(own.sharpe))),
    ("drawdown", lambda one: _own(one, lambda own: _percent(own.drawdown_max))),
)


@group.command("judge")
def judge(as_of: AsOfOption = None, as_json: JsonFlag = False) -> None:
    """Let the gate judge every version that may serve; its word decides who is champion and challenger."""
    with shown_progress() as progress:
        candidates = run_judge_models(as_of=parse_date(as_of, "--as-of") if as_of else None, progress=progress)
    if as_json:
        print_json(candidates)
        return
    print_table(
        "the gate's word",
        ["model", ">version", "gate", "so", "why"],
        [(one.name, one.version, _said(one.verdict), _said(one.outcome), one.sentence) for one in candidates],
    )


@group.command("promote")
def promote(
    name: NameArgument,
    version: Annotated[int, typer.Option("--version", help="Which version.")],
    override: Annotated[bool, typer.Option("--override", help="Ask to promote it whatever the gate says.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm what another person asked for.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="E-mail address of who decides.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why the gate is overridden.")] = None,
    on: OnOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a version champion if the gate passes it; or override the gate, which takes two people and a reason."""
    if override and confirm:
        raise InputError("--override asks and --confirm confirms: give one of them, by two different people")
    if (override or confirm) and not by:
        raise InputError("--by is missing: an override names its people by e-mail address")
    if override and not reason:
        raise InputError("--reason is missing: say why the gate is overridden")
    day = parse_date(on, "--on") if on else None
    if not confirm:
        with transaction() as session:
            hear_gate(session, name=name, version=version, effective_on=day)
    with transaction() as session:
        if override:
            decision = ask_override(
                session, name=name, version=version, by=by or "", reason=reason or "", effective_on=day
            )
        elif confirm:
            decision = confirm_override(session, name=name, version=version, by=by or "")
        else:
            decision = promote_version(session, name=name, version=version, actor=by or "operator", effective_on=day)
    _answer(decision, as_json)
    if override and not as_json:
        say(f"another person confirms: acis models promote {name} --version {version} --confirm --by E-MAIL")


@group.command("rollback")
def rollback(
    name: NameArgument,
    by: ByOption,
    reason: ReasonOption,
    to_nobody: Annotated[bool, typer.Option("--to-nobody", help="Not to the champion before, to nobody.")] = False,
    on: OnOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take the champion out: back to the one before it that may still serve, else to nobody."""
    with transaction() as session:
        decision = roll_back_champion(
            session,
            name=name,
            by=by,
            reason=reason,
            to_nobody=to_nobody,
            effective_on=parse_date(on, "--on") if on else None,
        )
    _answer(decision, as_json)


@group.command("hold")
def hold(
    name: NameArgument, by: ByOption, reason: ReasonOption, on: OnOption = None, as_json: JsonFlag = False
) -> None:
    """Take the champion out of service until it is released."""
    with transaction() as session:
        day = parse_date(on, "--on") if on else None
        decision = hold_champion(session, name=name, by=by, reason=reason, effective_on=day)
    _answer(decision, as_json)


@group.command("release")
def release(
    name: NameArgument, by: ByOption, reason: ReasonOption, on: OnOption = None, as_json: JsonFlag = False
) -> None:
    """Put a champion on hold back into service."""
    with transaction() as session:
        day = parse_date(on, "--on") if on else None
        decision = release_champion(session, name=name, by=by, reason=reason, effective_on=day)
    _answer(decision, as_json)


def _answer(decision: Decision, as_json: bool) -> None:
    if as_json:
        print_json(decision)
        return
    who = f"version {decision.version}" if decision.version else "nobody"
    becomes = "is asked for as" if decision.action == "request_override" else "is"
    if decision.action == "hold":
        becomes = "is on hold as"
    say(
        f"{decision.name}: {who} {becomes} {decision.role} from {decision.effective_on} on, by"
        f" {_people(decision.actor, decision.second_actor)}: {decision.reason}"
    )


def _as_of(session: Session, value: str | None) -> date:
    return parse_date(value, "--as-of") if value else newest_session(session)


def _people(actor: str, second_actor: str | None) -> str:
    return f"{actor} and {second_actor}" if second_actor else actor


def _said(word: str) -> str:
    return word.replace("_", " ")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:+.1%}"
