"""What doors and upper rooms ask of the registry: judge the versions of a date and let the gate's word count."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from registry.alerts import raise_alert
from registry.drift_state import FORGOTTEN_DAYS
from registry.evidence import Docket, drift_of_inputs
from registry.roles import (
    FAIL,
    PASS,
    Standing,
    challengers,
    champions,
    contenders,
    hold,
    may_shadow,
    promote,
    register,
    release,
    retire,
    rollback,
    standing_of,
)
from registry.verdicts import is_due, judge_by_docket

KINDS = ("screener", "allocator")
ACTOR = "gate"
Outcome = Literal[
    "promoted", "champion", "registered", "challenger", "waiting", "superseded", "withdrawn", "on_hold", "refused"
]
Settled = tuple[Outcome, str]
Judged = tuple[ModelVersion, GateVerdict]
_IN_SHADOW = {
    "registered": "runs in shadow from this night on",
    "challenger": "runs in shadow",
    "waiting": "waits until the shadow lane is free",
}


def drift_is_wanted(session: Session, *, as_of: date) -> bool:
    """Whether a version waits for a reading of its drift to run in shadow: nobody does for its strategy, nobody has
    looked of late, and no failure makes it needless. So on the first night of a fold, and hardly ever after.
    """
    for kind in KINDS:
        seated = champions(session, kind=kind, as_of=as_of) | challengers(session, kind=kind, as_of=as_of)
        waiting = [model for model in contenders(session, kind=kind, as_of=as_of) if model.strategy not in seated]
        verdicts = newest_verdicts(
            session, model_version_ids=[model.model_version_id for model in waiting], as_of=as_of
        )
        for model in waiting:
            verdict = verdicts.get(model.model_version_id)
            if verdict is None or verdict.verdict != FAIL:
                read_on = drift_of_inputs(session, model, as_of=as_of).read_on
                if read_on is None or (as_of - read_on).days > FORGOTTEN_DAYS:
                    return True
    return False


@dataclass(frozen=True)
class Candidate:
    """One version as it stands after the gate has spoken; `sentence` says why it is so."""

    kind: str
    strategy: str
    name: str
    version: int
    model_version_id: int
    verdict_id: int
    verdict: str
    outcome: Outcome
    sentence: str


def judge_candidates(session: Session, *, as_of: date, anew: bool = False) -> list[Candidate]:
    """Judge the newest fold of every configuration that may serve on `as_of`, and who has a role; let the word count.

    Of a strategy's versions that pass, the one with the highest deflated Sharpe ratio becomes champion where none
    serves; a newer training of the champion's own configuration takes over from it. Beside any other champion a
    version waits for the shadow ledger's rule or for people. The best version whose hard checks all pass runs in
    shadow; one that does stays there, unless another passes and it does not.

    A hard failure takes whoever has a role out of it, unless two people had overridden the gate; drift alone puts a
    champion on hold until it is over. Who was taken out comes back by people only.

    A version is judged when its service begins, every quarter, and when trials, leak audit or drift have changed;
    `anew` judges all. Twice is once.
    """
    told = []
    for kind in KINDS:
        judged, news = _judge(session, kind, as_of, anew=anew)
        serving = champions(session, kind=kind, as_of=as_of), challengers(session, kind=kind, as_of=as_of)
        for strategy in sorted({model.strategy for model, _ in judged}):
            own = [(model, verdict) for model, verdict in judged if model.strategy == strategy]
            champion, challenger = (holders.get(strategy) for holders in serving)
            if news.isdisjoint(model.model_version_id for model, _ in own) and _is_settled(own, champion, challenger):
                told += [_as_it_stands(model, verdict, champion, challenger) for model, verdict in own]
            else:
                told += _seat(session, own, as_of)
    return told


def _is_settled(judged: list[Judged], champion: ModelVersion | None, challenger: ModelVersion | None) -> bool:
    """Whether old verdicts leave nothing to give or take: so on most nights, which then cost nothing."""
    failed = [model for model, verdict in judged if verdict.verdict == FAIL]
    return (
        champion not in failed
        and challenger not in failed
        and not any(_only_drifted(verdict) for _, verdict in judged)
        and (champion is not None or not any(verdict.verdict == PASS for _, verdict in judged))
        and (challenger is not None or not any(may_shadow(verdict) for _, verdict in judged))
    )


def _as_it_stands(
    model: ModelVersion, verdict: GateVerdict, champion: ModelVersion | None, challenger: ModelVersion | None
) -> Candidate:
    if model is champion:
        return _told(model, verdict, "champion", "serves")
    if model is challenger:
        return _told(model, verdict, "challenger", f"runs in shadow: {verdict.reason}")
    if may_shadow(verdict):
        return _told(model, verdict, "waiting", f"{_IN_SHADOW['waiting']}: {verdict.reason}")
    return _told(model, verdict, "refused", f"stays out: {verdict.reason}")


def _judge(session: Session, kind: str, as_of: date, *, anew: bool) -> tuple[list[Judged], set[int]]:
    """The versions of a kind with the verdicts that count, those with a role first; ids of those judged just now."""
    have_roles = champions(session, kind=kind, as_of=as_of), challengers(session, kind=kind, as_of=as_of)
    versions = {model.model_version_id: model for holders in have_roles for model in holders.values()}
    versions |= {model.model_version_id: model for model in contenders(session, kind=kind, as_of=as_of)}
    verdicts = newest_verdicts(session, model_version_ids=list(versions), as_of=as_of)
    docket = Docket(session, kind=kind, as_of=as_of)
    judged, news = [], set()
    for key, model in versions.items():
        verdict = verdicts.get(key)
        now = docket.circumstances(drift_of_inputs(session, model, as_of=as_of))
        if verdict is None or anew or is_due(model, verdict, now, as_of=as_of):
            verdict = judge_by_docket(session, model, docket)
            news.add(key)
        judged.append((model, verdict))
    return judged, news


def _seat(session: Session, judged: list[Judged], as_of: date) -> list[Candidate]:
    """Give and take the roles of one strategy that follow from its verdicts, the most convincing first."""
    settled = {}
    for model, verdict in judged:
        if verdict.verdict == FAIL:
            settled[model.model_version_id] = _withdraw(session, model, verdict, as_of)
    standing = [pair for pair in judged if pair[1].verdict != FAIL]
    newest = {
        model.trial_id: max(_age(other) for other, _ in standing if other.trial_id == model.trial_id)
        for model, _ in standing
    }
    for model, verdict in sorted(standing, key=_conviction, reverse=True):
        superseded = _age(model) < newest[model.trial_id]
        settled[model.model_version_id] = _settle(session, model, verdict, as_of, superseded=superseded)
    return [_told(model, verdict, *settled[model.model_version_id]) for model, verdict in judged]


def _age(model: ModelVersion) -> tuple[date, int]:
    return model.valid_from_on, model.version


def _conviction(judged: Judged) -> tuple[bool, float, tuple[date, int]]:
    """What passes comes first, then by deflated Sharpe ratio, then the newest."""
    model, verdict = judged
    value = next((check["value"] for check in verdict.checks if check["name"] == "deflated_sharpe"), None)
    return verdict.verdict == PASS, -1.0 if value is None else value, _age(model)


def _settle(session: Session, model: ModelVersion, verdict: GateVerdict, as_of: date, *, superseded: bool) -> Settled:
    """Give a version that has not failed the roles that it has earned."""
    now = standing_of(session, name=model.name, as_of=as_of)
    if now.champion == model.model_version_id:
        return "champion", "serves"
    if now.held == model.model_version_id and now.held_by == ACTOR:
        release(session, name=model.name, effective_on=as_of, actor=ACTOR, reason=verdict.reason)
        return "champion", "serves again"
    outcome: Outcome = "challenger"
    if superseded and now.challenger != model.model_version_id:
        return "superseded", "has made room for a newer training of its configuration"
    if not may_shadow(verdict):
        return ("challenger" if now.challenger == model.model_version_id else "refused"), f"stays out: {verdict.reason}"
    rival = _rival(session, model, now, as_of)
    if now.challenger != model.model_version_id and (
        rival is None or _gives_way(session, rival, verdict, model, as_of)
    ):
        register(session, model=model, effective_on=as_of, actor=ACTOR)
        outcome = "registered"
    elif now.challenger != model.model_version_id:
        outcome = "waiting"
    if verdict.verdict != PASS:
        return outcome, f"{_IN_SHADOW[outcome]}: {verdict.reason}"
    obstacle = _obstacle(session, model, now, as_of)
    if obstacle is not None:
        return outcome, f"passes, {_IN_SHADOW[outcome]}: {obstacle}"
    promote(session, model=model, effective_on=as_of, actor=ACTOR)
    return "promoted", "serves from this night on"


def _rival(session: Session, model: ModelVersion, now: Standing, as_of: date) -> ModelVersion | None:
    """Whoever runs in shadow and is neither this version nor, as champion, in service anyway."""
    challenger = challengers(session, kind=model.kind, as_of=as_of).get(model.strategy)
    if challenger is None or challenger.model_version_id in (model.model_version_id, now.champion):
        return None
    return challenger


def _gives_way(session: Session, rival: ModelVersion, verdict: GateVerdict, model: ModelVersion, as_of: date) -> bool:
    """Whether the one in shadow makes room: for a newer training of its own, or for one that passes as it does not."""
    if rival.trial_id == model.trial_id:
        return True
    own = newest_verdicts(session, model_version_ids=[rival.model_version_id], as_of=as_of)
    held = own.get(rival.model_version_id)
    return verdict.verdict == PASS and (held is None or held.verdict != PASS)


def _obstacle(session: Session, model: ModelVersion, now: Standing, as_of: date) -> str | None:
    """Why a version that passes does not become champion by itself."""
    if now.held == model.model_version_id:
        return "it is on hold and serves again when it is released"
    if model.model_version_id in now.removed:
        return "it was taken out of service, and only people bring it back"
    champion = champions(session, kind=model.kind, as_of=as_of).get(model.strategy)
    if now.held is not None and "@" in (now.held_by or ""):
        return f"{now.held_by} has put the champion on hold"
    if champion is None or (champion.trial_id == model.trial_id and champion.version < model.version):
        return None
    return f"beside the champion, version {champion.version}"


def _withdraw(session: Session, model: ModelVersion, verdict: GateVerdict, as_of: date) -> Settled:
    """Take every role from a version that has failed, and tell people."""
    now = standing_of(session, name=model.name, as_of=as_of)
    if _only_drifted(verdict):
        return _pause(session, model, verdict, now, as_of)
    crowned = now.entitlement(model.model_version_id)
    in_office = model.model_version_id in (now.champion, now.held)
    overridden = in_office and crowned is not None and crowned.action == "override"
    if now.challenger == model.model_version_id:
        retire(session, model=model, effective_on=as_of, actor=ACTOR, reason=verdict.reason)
    if in_office and not overridden:
        rollback(session, name=model.name, effective_on=as_of, actor=ACTOR, reason=verdict.reason)
    if in_office:
        sentence = f"version {model.version} {'serves against the gate' if overridden else 'was taken out of service'}"
        raise_alert(session, severity="critical", subject=model.name, text=f"{sentence}: {verdict.reason}")
    if overridden:
        return "champion", f"serves by two people's word: {verdict.reason}"
    if in_office or now.challenger == model.model_version_id:
        return "withdrawn", f"is taken out: {verdict.reason}"
    return "refused", f"stays out: {verdict.reason}"


def _only_drifted(verdict: GateVerdict) -> bool:
    """Whether drift of the inputs, which may pass, is all that speaks against the version."""
    return {check["name"] for check in verdict.checks if check["status"] == FAIL} == {"drift"}


def _pause(session: Session, model: ModelVersion, verdict: GateVerdict, now: Standing, as_of: date) -> Settled:
    """Put a champion whose inputs have drifted on hold; a challenger goes on running in shadow."""
    if now.champion == model.model_version_id:
        hold(session, name=model.name, effective_on=as_of, actor=ACTOR, reason=verdict.reason)
        raise_alert(
            session,
            severity="warning",
            subject=model.name,
            text=f"version {model.version} is on hold: {verdict.reason}",
        )
    if model.model_version_id in (now.champion, now.held):
        return "on_hold", f"is on hold: {verdict.reason}"
    if now.challenger == model.model_version_id:
        return "challenger", f"runs in shadow: {verdict.reason}"
    return "refused", f"stays out: {verdict.reason}"


def _told(model: ModelVersion, verdict: GateVerdict, outcome: Outcome, sentence: str) -> Candidate:
    return Candidate(
        kind=model.kind,
        strategy=model.strategy,
        name=model.name,
        version=model.version,
        model_version_id=model.model_version_id,
        verdict_id=verdict.verdict_id,
        verdict=verdict.verdict,
        outcome=outcome,
        sentence=f"{model.name} version {model.version} {sentence}",
    )
