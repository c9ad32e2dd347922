"""What doors and upper rooms ask of the registry: judge the versions of a date and let the gate's word count."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from database.queries.models import valid_models
from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from registry.alerts import raise_alert
from registry.evidence import common_circumstances, drift_of_inputs
from registry.roles import (
    FAIL,
    PASS,
    Standing,
    challengers,
    champions,
    hold,
    may_shadow,
    promote,
    register,
    release,
    retire,
    rollback,
    standing_of,
)
from registry.verdicts import is_due, judge_version

KINDS = ("screener", "allocator")
ACTOR = "gate"
Outcome = Literal["promoted", "champion", "registered", "challenger", "withdrawn", "on_hold", "refused"]


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
    """Judge each strategy's newest fold that may serve on `as_of`, and who has a role then; let the word count.

    A version whose hard checks all pass runs in shadow; a pass makes it champion where none serves, or where the one
    that serves is an earlier training of the same configuration. Beside any other champion it waits for the shadow
    ledger's rule or for people. A hard failure takes whoever has a role out of it, unless two people had overridden
    the gate; drift alone puts a champion on hold until it is over. Who was taken out comes back by people only.

    A version is judged when its service begins, every quarter, and when trials, leak audit or drift have changed;
    `anew` judges all. Twice is once.
    """
    told = []
    for kind in KINDS:
        versions = _candidates(session, kind, as_of)
        verdicts = newest_verdicts(session, model_version_ids=list(versions), as_of=as_of)
        circumstances = common_circumstances(session, kind=kind)
        for key, model in versions.items():
            verdict = verdicts.get(key)
            now = circumstances(drift_of_inputs(session, model, as_of=as_of))
            if verdict is None or anew or is_due(model, verdict, now, as_of=as_of):
                verdict = judge_version(session, model=model, as_of=as_of)
            told.append(_settle(session, model, verdict, as_of))
    return told


def _candidates(session: Session, kind: str, as_of: date) -> dict[int, ModelVersion]:
    """By id, those that have a role, then the newest valid version of each strategy."""
    have_roles = champions(session, kind=kind, as_of=as_of), challengers(session, kind=kind, as_of=as_of)
    newest = valid_models(session, kind=kind, as_of=as_of)
    return {model.model_version_id: model for holders in (*have_roles, newest) for model in holders.values()}


def _settle(session: Session, model: ModelVersion, verdict: GateVerdict, as_of: date) -> Candidate:
    """Give or take the roles that follow from the verdict."""
    now = standing_of(session, name=model.name, as_of=as_of)
    if verdict.verdict == FAIL:
        return _told(model, verdict, *_withdraw(session, model, verdict, now, as_of))
    if now.champion == model.model_version_id:
        return _told(model, verdict, "champion", "serves")
    if now.held == model.model_version_id and now.held_by == ACTOR:
        release(session, name=model.name, effective_on=as_of, actor=ACTOR, reason=verdict.reason)
        return _told(model, verdict, "champion", "serves again")
    outcome: Outcome = "challenger"
    if may_shadow(verdict) and now.challenger != model.model_version_id:
        register(session, model=model, effective_on=as_of, actor=ACTOR)
        outcome = "registered"
    if verdict.verdict == PASS:
        obstacle = _obstacle(session, model, now, as_of)
        if obstacle is not None:
            return _told(model, verdict, outcome, obstacle)
        promote(session, model=model, effective_on=as_of, actor=ACTOR)
        return _told(model, verdict, "promoted", "serves from this night on")
    if not may_shadow(verdict):
        return _told(model, verdict, "refused", f"has no role: {verdict.reason}")
    return _told(model, verdict, outcome, f"runs in shadow: {verdict.reason}")


def _obstacle(session: Session, model: ModelVersion, now: Standing, as_of: date) -> str | None:
    """Why a version that passes does not become champion by itself."""
    if now.held == model.model_version_id:
        return "passes and is on hold: it serves again when it is released"
    if model.model_version_id in now.removed:
        return "passes and was taken out of service: only people bring it back"
    champion = champions(session, kind=model.kind, as_of=as_of).get(model.strategy)
    if champion is None or (champion.trial_id == model.trial_id and champion.version < model.version):
        return None
    return f"passes and runs in shadow beside the champion, version {champion.version}"


def _withdraw(
    session: Session, model: ModelVersion, verdict: GateVerdict, now: Standing, as_of: date
) -> tuple[Outcome, str]:
    """Take every role from a version that has failed, and tell people."""
    crowned = now.entitlement(model.model_version_id)
    in_office = model.model_version_id in (now.champion, now.held)
    overridden = in_office and crowned is not None and crowned.action == "override"
    if _only_drifted(verdict):
        return _pause(session, model, verdict, now, as_of)
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
        return "withdrawn", f"taken out: {verdict.reason}"
    return "refused", f"has no role: {verdict.reason}"


def _only_drifted(verdict: GateVerdict) -> bool:
    """Whether drift of the inputs, which may pass, is all that speaks against the version."""
    return {check["name"] for check in verdict.checks if check["status"] == FAIL} == {"drift"}


def _pause(
    session: Session, model: ModelVersion, verdict: GateVerdict, now: Standing, as_of: date
) -> tuple[Outcome, str]:
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
    return "refused", f"has no role: {verdict.reason}"


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
