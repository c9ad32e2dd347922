"""What MLflow is to show of each configuration, read from rows: its folds, what the gate says, what it earned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np

from core.clock import today_in_new_york
from database.queries.bars import last_session_on
from database.queries.models import find_versions
from database.queries.tracking import own_trials, returns_counts, versions_with_roles
from database.queries.trials import ReturnSeries, read_returns
from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from quant.stats import measure_performance
from registry.evidence import OWN, REFERENCE
from registry.records import NOTE
from registry.roles import challengers, champions, contenders

KINDS = ("screener", "allocator")
_SCREENER_MEASURES = (
    "auc",
    "rank_ic",
    "rank_ic_t",
    "decile_spread_gross",
    "decile_spread_net",
    "validation_auc",
    "rounds",
)
_ALLOCATOR_MEASURES = ("total_return", "sharpe", "drawdown_max", "turnover", "costs", "effective_positions")
_PARAMETER_LENGTH_MAX = 5000


@dataclass(frozen=True)
class Tried:
    """One configuration; `trial_id` None stands for a name's versions from before trials were counted.

    `versions` by fold and version, `verdicts` the newest of each. `mark` changes when anything of it does.
    """

    trial_id: int | None
    kind: str
    strategy: str
    source: str
    configuration: Mapping[str, Any]
    versions: tuple[ModelVersion, ...]
    verdicts: Mapping[int, GateVerdict]
    returns_count: int

    @property
    def key(self) -> str:
        """What its run is found by."""
        return str(self.trial_id) if self.trial_id is not None else f"untried {self.kind}-{self.strategy}"

    @property
    def mark(self) -> str:
        """A digest of all that the run shows."""
        shown = {
            "versions": [[row.model_version_id, row.metrics] for row in self.versions],
            "verdicts": sorted(row.verdict_id for row in self.verdicts.values()),
            "returns": self.returns_count,
        }
        return sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def newest(self) -> ModelVersion | None:
        """The newest fold, and of it the last training."""
        return self.versions[-1] if self.versions else None

    @property
    def algorithm(self) -> str:
        """By which it learns, where that is known."""
        return self.newest.algorithm if self.newest else str(self.configuration.get("algorithm", "unknown"))

    def parameters(self) -> dict[str, str]:
        """Everything that shapes it, flat, as text."""
        flat: dict[str, Any] = {}
        for name, value in self.configuration.items():
            if isinstance(value, Mapping):
                flat |= {f"{name}.{inner}": told for inner, told in value.items()}
            else:
                flat[name] = value
        if not flat and self.newest is not None:
            flat = dict(self.newest.manifest.get("parameters", {}))
        return {name.replace(":", "-"): _text(value)[:_PARAMETER_LENGTH_MAX] for name, value in flat.items()}

    def verdict_of(self, model: ModelVersion | None) -> GateVerdict | None:
        """The newest verdict on one of its versions."""
        return self.verdicts.get(model.model_version_id) if model else None


@dataclass(frozen=True)
class Mirror:
    """All that the server is to show: configurations, the versions to register, and who has which role today.

    `registered` holds the newest version of each configuration and whoever has, had or may have a role. `aliases` maps
    model name and alias to a version's id; an alias that nobody has is absent.
    """

    tried: tuple[Tried, ...]
    registered: tuple[ModelVersion, ...]
    aliases: Mapping[tuple[str, str], int]


def read_mirror(session: Session) -> Mirror:
    """What the rows say tonight."""
    as_of = last_session_on(session) or today_in_new_york()
    versions = sorted(find_versions(session), key=lambda row: (row.valid_from_on, row.version))
    verdicts = newest_verdicts(session, model_version_ids=[row.model_version_id for row in versions], as_of=date.max)
    aliases = {
        (model.name, alias): model.model_version_id
        for kind in KINDS
        for alias, holders in (
            ("champion", champions(session, kind=kind, as_of=as_of)),
            ("challenger", challengers(session, kind=kind, as_of=as_of)),
        )
        for model in holders.values()
    }
    tried = tuple(_tried(session, versions, verdicts))
    wanted = versions_with_roles(session) | {one.newest.model_version_id for one in tried if one.newest}
    wanted |= {row.model_version_id for kind in KINDS for row in contenders(session, kind=kind, as_of=as_of)}
    return Mirror(
        tried=tried,
        registered=tuple(row for row in versions if row.model_version_id in wanted),
        aliases=aliases,
    )


def _tried(session: Session, versions: Sequence[ModelVersion], verdicts: Mapping[int, GateVerdict]) -> list[Tried]:
    folds: dict[int | None, list[ModelVersion]] = {}
    for row in versions:
        folds.setdefault(row.trial_id, []).append(row)
    counts = returns_counts(session)
    found = [
        Tried(
            trial_id=trial.trial_id,
            kind=trial.kind,
            strategy=trial.strategy,
            source=trial.source,
            configuration=trial.configuration,
            versions=tuple(folds.get(trial.trial_id, ())),
            verdicts=_verdicts(folds.get(trial.trial_id, ()), verdicts),
            returns_count=counts.get(trial.trial_id, 0),
        )
        for trial in own_trials(session)
    ]
    untried: dict[tuple[str, str], list[ModelVersion]] = {}
    for row in folds.get(None, ()):
        untried.setdefault((row.kind, row.strategy), []).append(row)
    return found + [
        Tried(None, kind, strategy, "training", {}, tuple(rows), _verdicts(rows, verdicts), 0)
        for (kind, strategy), rows in untried.items()
    ]


def _verdicts(rows: Sequence[ModelVersion], verdicts: Mapping[int, GateVerdict]) -> dict[int, GateVerdict]:
    return {row.model_version_id: verdicts[row.model_version_id] for row in rows if row.model_version_id in verdicts}


def returns_of(session: Session, tried: Tried) -> dict[str, ReturnSeries]:
    """Every series of the configuration, by name."""
    if tried.trial_id is None:
        return {}
    return read_returns(session, kind=tried.kind, trial_ids=[tried.trial_id], through_on=date.max).get(
        tried.trial_id, {}
    )


@dataclass(frozen=True)
class Point:
    """One measure of one year."""

    name: str
    year: int
    value: float
    until_on: date


def points(tried: Tried, returns: Mapping[str, ReturnSeries]) -> list[Point]:
    """Every measure by year: of the newest training of each fold, and of the out-of-sample returns of each year."""
    found: dict[tuple[str, int], Point] = {}
    for row in tried.versions:
        year, measures = row.valid_from_on.year, _measures(row)
        for name, value in measures.items():
            found[name, year] = Point(name, year, value, row.valid_from_on)
    for name, year, value, until_on in _earned(tried.kind, returns):
        found[name, year] = Point(name, year, value, until_on)
    return list(found.values())


def _measures(row: ModelVersion) -> dict[str, float]:
    """What was measured of a fold on the year after its training."""
    if row.kind == "screener":
        told: Mapping[str, Any] = row.metrics
        names: tuple[str, ...] = _SCREENER_MEASURES
    else:
        table = (row.metrics.get("test") or {}).get("table", [])
        told = next((line for line in table if line.get("allocator") == "ppo"), {})
        names = _ALLOCATOR_MEASURES
    return {name: float(told[name]) for name in names if isinstance(told.get(name), int | float)}


def _earned(kind: str, returns: Mapping[str, ReturnSeries]) -> list[tuple[str, int, float, date]]:
    """(measure, year, value, last session) of the year's returns; totals, not annualised."""
    found = []
    for series, label in ((OWN, "net_return"), (REFERENCE[kind], "reference_return")):
        whole = returns.get(series)
        if whole is None or not len(whole.sessions):
            continue
        years = whole.sessions.astype("datetime64[Y]").astype(int) + 1970
        for year in np.unique(years):
            part = years == year
            values = np.concatenate([[1.0], np.cumprod(1.0 + whole.returns[part])])
            until_on = whole.sessions[part][-1].astype(date)
            measured = measure_performance(values)
            found.append((label, int(year), measured.total_return, until_on))
            if series == OWN:
                found.append(("net_drawdown_max", int(year), measured.drawdown_max, until_on))
    return found


def tags(tried: Tried, model: ModelVersion | None) -> dict[str, str]:
    """The gate's word on one version, what its figures rest on, and what it was made from."""
    verdict = tried.verdict_of(model)
    told = {
        "kind": tried.kind,
        "strategy": tried.strategy,
        "algorithm": tried.algorithm,
        "source": tried.source,
        "note": NOTE,
        "gate": verdict.verdict if verdict else "not judged",
        "gate_reason": verdict.reason if verdict else "the gate has not judged it",
    }
    if verdict is not None:
        values = {check["name"]: check["value"] for check in verdict.checks}
        told |= {
            "gate_as_of": verdict.as_of.isoformat(),
            "trials": str(verdict.trials),
            "dsr": _text(values.get("deflated_sharpe")),
            "pbo": _text(values.get("overfitting")),
            "period": f"{verdict.evidence.get('from_on')} to {verdict.evidence.get('to_on')}",
        }
    if model is not None:
        told |= {
            "feature_hash": model.feature_hash,
            "input_hash": model.input_hash,
            "code_commit": model.code_commit,
            "artefact_sha256": model.artefact_sha256,
        }
    return told


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else json.dumps(value)
