"""MLflow: the scientists' window on every configuration tried, and the mirror of who serves.

What trades is loaded from `model_versions`, and who serves is read from `model_roles`, never from here, so nothing
waits for this server: whatever it does not show yet is brought by the next `sync_tracking`. One run holds one
configuration, with its folds as steps. Versions that have or may have a role are registered under their model's name,
with the gate's word as tags; the aliases `champion` and `challenger` follow the roles.

One thing goes the other way: runs that somebody logged by hand in our experiments, deleted ones too, are trials, and
are counted.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path

import mlflow
import mlflow.xgboost
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag, ViewType
from mlflow.entities.model_registry import ModelVersion as RegisteredVersion
from mlflow.environment_variables import (
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema

from core.errors import ArtefactRefused, Unreachable
from core.log import get_logger
from core.progress import Progress, silent
from database.queries import models
from database.queries.trials import ReturnSeries
from database.session import transaction
from database.tables.models import ModelVersion
from ml_models.algorithms.xgboost_trees import XgboostModel
from ml_models.artefact import MANIFEST_FILE, load
from mlops.mirror import Mirror, Tried, points, read_mirror, returns_of, tags
from mlops.plots import calibration_plot, growth_plot, importance_plot, measures_plot
from registry import artefact
from registry.evidence import OWN
from registry.records import NOTE
from registry.trials import record_trial

EXPERIMENTS = {"screener": "screeners", "allocator": "allocators"}
TUNING = "tuning"
ALIASES = ("champion", "challenger")
VERSION_TAG = "acis.model_version_id"
_TRIAL_TAG = "acis.trial"
_MARK_TAG = "acis.mark"
_SEARCH_PAGE = 1000
# Without explicit requirements MLflow spends half a minute guessing them.
_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("xgboost", "numpy", "pandas")]
# Give up within a minute instead of ten, and leave stdout and stderr to the command that called.
_MANNERS = (
    (MLFLOW_HTTP_REQUEST_MAX_RETRIES, 2),
    (MLFLOW_HTTP_REQUEST_TIMEOUT, 30),
    (MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, False),
    (MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT, True),
)
_log = get_logger("mlops")


@dataclass(frozen=True)
class SyncReport:
    """What a sync changed: runs logged or brought up to date, versions registered, aliases moved, runs counted."""

    runs: int
    versions: int
    aliases: tuple[str, ...]
    counted: int


def sync_tracking(*, tracking_uri: str, progress: Progress = silent) -> SyncReport:
    """Bring the server up to what the rows say, and count what was logged there by hand.

    Idempotent, and safe to cut off anywhere. Raises Unreachable when the server does not answer; nothing is lost then,
    the next sync begins where this ended.
    """
    with _connected(tracking_uri) as client:
        experiments = {name: _experiment(client, name) for name in (*EXPERIMENTS.values(), TUNING)}
        own, by_hand = _told_apart(_all_runs(client, list(experiments.values())))
        counted = _count(by_hand, {key: name for name, key in experiments.items()})
        with transaction() as session:
            mirror = read_mirror(session)
        behind = [tried for tried in mirror.tried if _is_behind(own.get(tried.key), tried)]
        for done, tried in enumerate(behind):
            progress("log models to MLflow", done, len(behind))
            own[tried.key] = _log_trial(client, experiments[_experiment_of(tried)], own.get(tried.key), tried)
        if behind:
            progress("log models to MLflow", len(behind), len(behind))
        registered = _register_missing(client, mirror, own, progress)
        moved = _move_aliases(client, mirror)
    return SyncReport(runs=len(behind), versions=registered, aliases=tuple(moved), counted=counted)


@contextmanager
def _connected(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client of the server; what goes wrong with it is Unreachable."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    for variable, value in _MANNERS:
        variable.set(value)  # type: ignore[no-untyped-call]  # MLflow left it without types
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        yield MlflowClient(tracking_uri)
    except (MlflowException, OSError) as error:
        raise Unreachable(f"the tracking server {tracking_uri} did not take the models: {error}") from error


def _experiment(client: MlflowClient, name: str) -> str:
    """Id of the experiment, made or brought back where it is missing."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _experiment_of(tried: Tried) -> str:
    return TUNING if tried.source == "tuning" and not tried.versions else EXPERIMENTS[tried.kind]


def _all_runs(client: MlflowClient, experiment_ids: Sequence[str]) -> list[Run]:
    """Every run of the experiments, deleted ones too, oldest first."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            list(experiment_ids),
            run_view_type=ViewType.ALL,
            max_results=_SEARCH_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def _told_apart(runs: Sequence[Run]) -> tuple[dict[str, Run], list[Run]]:
    """Our run of each configuration, and the runs that people logged. A copy of one of ours is somebody's run."""
    own: dict[str, Run] = {}
    by_hand = []
    for run in runs:
        key = run.data.tags.get(_TRIAL_TAG)
        if key is None or key in own:
            by_hand.append(run)
        else:
            own[key] = run
    return own, by_hand


def _count(by_hand: Sequence[Run], names: Mapping[str, str]) -> int:
    """Note every run by hand as a trial; what is noted already is not noted again. Returns how many there are."""
    kinds = {name: kind for kind, name in EXPERIMENTS.items()}
    with transaction() as session:
        for run in by_hand:
            told = run.data.tags | run.data.params
            kind = kinds.get(names[run.info.experiment_id]) or told.get("kind", "screener")
            record_trial(
                session,
                kind=kind if kind in EXPERIMENTS else "screener",
                strategy=str(told.get("strategy", "unknown"))[:32],
                source="tracking",
                configuration={"tracking_run_id": run.info.run_id},
            )
    return len(by_hand)


def _is_behind(run: Run | None, tried: Tried) -> bool:
    return run is None or _is_deleted(run) or run.data.tags.get(_MARK_TAG) != tried.mark


def _is_deleted(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == LifecycleStage.DELETED)


def _log_trial(client: MlflowClient, experiment_id: str, run: Run | None, tried: Tried) -> Run:
    """Log a configuration, or bring its run up to date; the mark is set last, so that a cut-off run is taken up."""
    with transaction() as session:
        returns = returns_of(session, tried)
    if run is None:
        name = f"{tried.kind}-{tried.strategy} {tried.algorithm} {tried.key}"
        run = client.create_run(experiment_id, tags={_TRIAL_TAG: tried.key}, run_name=name)
    run_id = run.info.run_id
    if _is_deleted(run):
        client.restore_run(run_id)
    known = run.data.params
    client.log_batch(
        run_id,
        params=[Param(key, value) for key, value in tried.parameters().items() if key not in known],
        metrics=[
            Metric(point.name, point.value, _milliseconds(point.until_on), point.year)
            for point in points(tried, returns)
        ],
        tags=[RunTag(key, value) for key, value in tags(tried, tried.newest).items()],
    )
    _log_pictures(client, run_id, tried, returns)
    with transaction() as session:
        models.record_tracking_run(
            session, model_version_ids=[row.model_version_id for row in tried.versions], tracking_run_id=run_id
        )
    client.set_terminated(run_id)
    client.set_tag(run_id, _MARK_TAG, tried.mark)
    return run


def _milliseconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)


def _log_pictures(client: MlflowClient, run_id: str, tried: Tried, returns: Mapping[str, ReturnSeries]) -> None:
    if tried.versions:
        client.log_dict(run_id, {"folds": [fold.manifest for fold in tried.versions]}, "folds.json")
    verdict = tried.verdict_of(tried.newest)
    if verdict is not None:
        told = {"verdict": verdict.verdict, "reason": verdict.reason, "checks": verdict.checks, **verdict.evidence}
        client.log_dict(run_id, told, "gate.json")
    judged = [fold for fold in tried.versions if fold.kind == "screener" and "auc" in fold.metrics]
    if judged:
        client.log_figure(run_id, measures_plot(judged), "measures_by_year.png")
        client.log_figure(run_id, calibration_plot(judged), "calibration.png")
        client.log_figure(run_id, importance_plot(judged[-1]), "importance.png")
    if OWN in returns:
        shown = tags(tried, tried.newest)
        counted = ", ".join(f"{name} {shown.get(name, 'unknown')}" for name in ("trials", "dsr", "pbo"))
        caption = f"{NOTE}; gate: {shown['gate']}; {counted}"
        picture = growth_plot(f"{tried.kind}-{tried.strategy}", returns, first=OWN, caption=caption)
        client.log_figure(run_id, picture, "out_of_sample.png")


def _register_missing(client: MlflowClient, mirror: Mirror, own: Mapping[str, Run], progress: Progress) -> int:
    """Register the versions that are wanted and not there yet, and bring the tags of all up to date."""
    configurations = {row.model_version_id: tried for tried in mirror.tried for row in tried.versions}
    there = {name: _registered(client, name) for name in {row.name for row in mirror.registered}}
    added = 0
    for done, row in enumerate(mirror.registered):
        tried = configurations[row.model_version_id]
        registered = there[row.name].get(row.model_version_id)
        if registered is None:
            progress("register models with MLflow", done, len(mirror.registered))
            registered = _register(client, own[tried.key].info.run_id, row)
            added += registered is not None
        if registered is not None:
            _tag(client, registered, {**tags(tried, row), "algorithm": row.algorithm})
    return added


def _registered(client: MlflowClient, name: str) -> dict[int, RegisteredVersion]:
    """Our id of a version -> the registered version."""
    found = client.search_model_versions(f"name = '{name}'", max_results=_SEARCH_PAGE)
    return {int(one.tags[VERSION_TAG]): one for one in found if VERSION_TAG in one.tags}


def _register(client: MlflowClient, run_id: str, row: ModelVersion) -> RegisteredVersion | None:
    """Log a version's files to its run and register them; None where they are not what was stored."""
    target = artefact.place(row.artefact_dir)
    try:
        source, model_id = _log_files(client, run_id, row, target)
    except ArtefactRefused as refusal:
        _log.warning("not registered", model=row.name, version=row.version, reason=str(refusal))
        return None
    with suppress(MlflowException):
        client.create_registered_model(row.name)
    return client.create_model_version(
        row.name,
        source=source,
        run_id=run_id,
        model_id=model_id,
        tags={
            VERSION_TAG: str(row.model_version_id),
            "acis.version": str(row.version),
            "valid_from_on": row.valid_from_on.isoformat(),
            "valid_to_on": row.valid_to_on.isoformat(),
        },
    )


def _log_files(client: MlflowClient, run_id: str, row: ModelVersion, target: Path) -> tuple[str, str | None]:
    """(source, id of the logged model): trees that MLflow can load by itself, or the files as they are."""
    if row.kind == "screener":
        model = load(target, expected_sha256=row.artefact_sha256)
        if isinstance(model, XgboostModel):
            return _log_trees(run_id, model, target)
    artefact.load(target, expected_sha256=row.artefact_sha256, expected={})
    folder = f"version-{row.version}"
    client.log_artifacts(run_id, str(target), folder)
    return f"runs:/{run_id}/{folder}", None


def _log_trees(run_id: str, model: XgboostModel, target: Path) -> tuple[str, str | None]:
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.xgboost.log_model(
            model.booster,
            name="model",
            model_format="ubj",
            pip_requirements=_REQUIREMENTS,
            signature=ModelSignature(
                inputs=Schema([ColSpec(DataType.double, name) for name in model.features]),
                outputs=Schema([ColSpec(DataType.float, "probability")]),
            ),
            extra_files=[str(target / MANIFEST_FILE)],
        )
    return logged.model_uri, logged.model_id


def _tag(client: MlflowClient, registered: RegisteredVersion, wanted: Mapping[str, str]) -> None:
    for key, value in wanted.items():
        if registered.tags.get(key) != value:
            client.set_model_version_tag(registered.name, registered.version, key, value)


def _move_aliases(client: MlflowClient, mirror: Mirror) -> list[str]:
    """Point the aliases at who has the roles today, and take away those that nobody has; returns those that moved."""
    moved = []
    for name in sorted({row.name for row in mirror.registered}):
        there = {one: int(str(number)) for one, number in _aliases(client, name).items()}
        registered = _registered(client, name)
        for alias in ALIASES:
            holder = registered.get(mirror.aliases.get((name, alias), 0))
            if holder is None and alias in there:
                client.delete_registered_model_alias(name, alias)
            elif holder is not None and there.get(alias) != int(holder.version):
                client.set_registered_model_alias(name, alias, str(holder.version))
            else:
                continue
            moved.append(f"{name}@{alias}")
    return moved


def _aliases(client: MlflowClient, name: str) -> Mapping[str, str]:
    """Alias -> number of the registered version; empty for a model that could not be registered."""
    try:
        found: Mapping[str, str] = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return found
