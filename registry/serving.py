"""Who takes a strategy's seat on a date, who sat there before and runs beside it, and why, in a sentence.

Nobody serves unjudged: a seat without a champion is empty, and the room that asks puts its simple rule there.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from core.errors import IntegrityBroken
from database.queries import roles as queries
from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.roles import ModelRole
from database.tables.verdicts import GateVerdict
from registry.alerts import raise_alert
from registry.roles import FAIL, Standing, standing

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Seat:
    """One strategy's seat: `former` were champions until another took over, newest first, and may serve still.

    `reason` says why the champion sits there, or why nobody does.
    """

    champion: ModelVersion | None
    former: tuple[ModelVersion, ...]
    challenger: ModelVersion | None
    reason: str

    @property
    def heirs(self) -> tuple[ModelVersion, ...]:
        """Who may be asked, in order: the champion, then those before it. Nobody without a champion."""
        return () if self.champion is None else (self.champion, *self.former)


def seats(session: Session, *, kind: str, strategies: Collection[str], as_of: date) -> dict[str, Seat]:
    """The seat of each of `strategies` on `as_of`, from roles, verdicts and folds as they were known then."""
    changes: dict[str, list[ModelRole]] = defaultdict(list)
    for row in queries.changes_of_kind(session, kind=kind, as_of=as_of):
        changes[row.strategy].append(row)
    versions: dict[str, dict[int, ModelVersion]] = defaultdict(dict)
    for model in queries.versions_in_service(session, kind=kind, as_of=as_of):
        versions[model.strategy][model.model_version_id] = model
    ids = [key for models in versions.values() for key in models]
    verdicts = newest_verdicts(session, model_version_ids=ids, as_of=as_of)
    return {
        strategy: _seat(kind, changes[strategy], versions[strategy], verdicts, as_of=as_of) for strategy in strategies
    }


def load_first(
    session: Session, versions: Sequence[ModelVersion], load: Callable[[ModelVersion], Loaded]
) -> tuple[ModelVersion, Loaded] | None:
    """The first of `versions` whose artefact is what was registered, loaded; each that is refused raises an alert."""
    for model in versions:
        try:
            return model, load(model)
        except IntegrityBroken as error:
            raise_alert(
                session,
                severity="critical",
                subject=model.name,
                text=f"{title(model)} is refused at loading and does not serve: {error}",
                details={"model_version_id": model.model_version_id, "artefact_dir": model.artefact_dir},
            )
    return None


def title(model: ModelVersion) -> str:
    """A version as people call it."""
    return f"{model.name} version {model.version}"


def _seat(
    kind: str,
    changes: Sequence[ModelRole],
    versions: dict[int, ModelVersion],
    verdicts: dict[int, GateVerdict],
    *,
    as_of: date,
) -> Seat:
    now = standing(changes, as_of=as_of)
    champion = versions.get(now.champion or 0)
    challenger = versions.get(now.challenger or 0)
    if champion is None:
        return Seat(None, (), challenger, _why_nobody(kind, now, changes, versions, verdicts, as_of))
    former: list[ModelVersion] = []
    for row in reversed(now.crowned):
        model = versions.get(row.model_version_id or 0)
        if model is None or model in (champion, *former) or model.model_version_id in now.removed:
            continue
        verdict = verdicts.get(model.model_version_id)
        if row.action == "override" or (verdict is not None and verdict.verdict != FAIL):
            former.append(model)
    return Seat(champion, tuple(former), challenger, _why_champion(champion, now))


def _why_champion(champion: ModelVersion, now: Standing) -> str:
    crowned = now.entitlement(champion.model_version_id)
    if crowned is None:
        return f"{title(champion)} is champion"
    by = "two people's override" if crowned.action == "override" else "the gate's word"
    return f"{title(champion)} is champion since {crowned.effective_on} by {by}: {crowned.reason}"


def _why_nobody(
    kind: str,
    now: Standing,
    changes: Sequence[ModelRole],
    versions: dict[int, ModelVersion],
    verdicts: dict[int, GateVerdict],
    as_of: date,
) -> str:
    newest = max(
        (row for row in changes if row.role == "champion" and row.action != "request_override"),
        key=lambda row: (row.effective_on, row.model_role_id),
        default=None,
    )
    # What was done to last year's champion is no news of this year's folds.
    if newest and now.champion is None and any(m.valid_from_on <= newest.effective_on for m in versions.values()):
        done = "is on hold" if newest.action == "hold" else "was rolled back"
        return f"the champion {done} since {newest.effective_on}: {newest.reason}"
    if not versions:
        return f"no {kind} may serve on {as_of}"
    judged = [verdicts[key] for key in versions if key in verdicts]
    if not judged:
        return f"no {kind} has been judged by {as_of}"
    verdict = max(judged, key=lambda row: (row.as_of, row.verdict_id))
    said = verdict.verdict.replace("_", " ")
    model = versions[verdict.model_version_id]
    return f"no {kind} passed the gate; newest verdict, on version {model.version}: {said}: {verdict.reason}"
