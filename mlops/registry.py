"""MLflow: the scientists' window on the models, and the registry of those in force.

What trades is loaded from `model_versions`, never from here, so training does not wait for this server: whatever is
not logged yet is logged by the next `sync_tracking`. One run holds one training of one strategy, with its folds as
steps; the newest fold is registered as `screener-<strategy>` under the alias `champion`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import groupby

import matplotlib
import mlflow
import mlflow.xgboost
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, Run
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

from core.clock import now
from core.config import get_settings
from core.errors import Unreachable
from core.progress import Progress, silent
from database.queries import models
from database.session import transaction
from database.tables.models import ModelVersion
from ml_models.algorithms.xgboost_trees import XgboostModel
from ml_models.artefact import MANIFEST_FILE, load

EXPERIMENT = "screeners"
CHAMPION = "champion"
KIND = "screener"
_FOLDS_TAG = "acis.folds"
_INPUT_TAG = "acis.input_hash"
_YEAR_TAG = "acis.fold_year"
# Without explicit requirements MLflow spends half a minute guessing them.
_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("xgboost", "numpy", "pandas")]
_MEASURES = ("auc", "rank_ic", "rank_ic_t", "decile_spread_gross", "decile_spread_net", "validation_auc", "rounds")
# Give up within a minute instead of ten, and leave stdout and stderr to the command that called.
_MANNERS = (
    (MLFLOW_HTTP_REQUEST_MAX_RETRIES, 2),
    (MLFLOW_HTTP_REQUEST_TIMEOUT, 30),
    (MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, False),
    (MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT, True),
)

matplotlib.use("Agg")


@dataclass(frozen=True)
class SyncReport:
    """What a sync brought to the tracking server."""

    runs: int
    folds: int
    champions: tuple[str, ...]


def sync_tracking(*, tracking_uri: str, progress: Progress = silent) -> SyncReport:
    """Log every screener fold that the server does not hold yet; idempotent, and safe to cut off anywhere.

    Raises Unreachable when the server does not answer; nothing is lost then, the next sync begins where this ended.
    """
    with transaction() as session:
        untracked = models.untracked_models(session, kind=KIND)
    rows = [row for row in untracked if row.algorithm == models.STANDARD_SCREENER]
    trainings = [list(folds) for _, folds in groupby(rows, key=lambda row: row.strategy)]
    champions: list[str] = []
    if trainings:
        with _connected(tracking_uri) as client:
            for done, folds in enumerate(trainings):
                progress("log models to MLflow", done, len(trainings))
                run_id, registered = _log_training(client, folds)
                champions += registered
                with transaction() as session:
                    models.record_tracking_run(
                        session,
                        model_version_ids=[fold.model_version_id for fold in folds],
                        tracking_run_id=run_id,
                    )
            progress("log models to MLflow", len(trainings), len(trainings))
    return SyncReport(runs=len(trainings), folds=len(rows), champions=tuple(champions))


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


def _log_training(client: MlflowClient, folds: Sequence[ModelVersion]) -> tuple[str, list[str]]:
    """Log one strategy's folds as one run; returns (run id, names of which a version became champion)."""
    mark = sha256("".join(fold.input_hash for fold in folds).encode()).hexdigest()
    experiment = mlflow.set_experiment(EXPERIMENT)
    found: list[Run] = client.search_runs([experiment.experiment_id], f"tags.`{_FOLDS_TAG}` = '{mark}'", max_results=1)
    newest = max(folds, key=lambda fold: (fold.valid_from_on, fold.version))
    with mlflow.start_run(
        # A run that was cut off is taken up again: all it is told is told under the same keys.
        run_id=found[0].info.run_id if found else None,
        run_name=f"{newest.name} {min(f.valid_from_on.year for f in folds)}-{newest.valid_from_on.year}",
        tags={
            _FOLDS_TAG: mark,
            "strategy": newest.strategy,
            "feature_hash": newest.feature_hash,
            "code_commit": newest.code_commit,
            "gate": "not yet judged",
        },
    ) as run:
        _log_measures(client, run.info.run_id, folds, newest)
        champions = _register(client, run.info.run_id, newest) if _is_newer(client, newest) else []
    return run.info.run_id, champions


def _log_measures(client: MlflowClient, run_id: str, folds: Sequence[ModelVersion], newest: ModelVersion) -> None:
    at = int(now().timestamp() * 1000)
    parameters = {**newest.manifest["parameters"], "emphasis": newest.manifest["emphasis"]}
    client.log_batch(
        run_id,
        params=[Param(name, str(value)) for name, value in parameters.items()],
        metrics=[
            Metric(name, fold.metrics[name], at, fold.valid_from_on.year)
            for fold in folds
            for name in _MEASURES
            if fold.metrics.get(name) is not None
        ],
    )
    client.log_dict(run_id, {"folds": [fold.manifest for fold in folds]}, "folds.json")
    client.log_figure(run_id, _measures_plot(folds), "measures_by_year.png")
    client.log_figure(run_id, _calibration_plot(folds), "calibration.png")


def _is_newer(client: MlflowClient, fold: ModelVersion) -> bool:
    """Whether the fold follows the champion in force, and is not that champion itself."""
    try:
        champion = client.get_model_version_by_alias(fold.name, CHAMPION)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return True
        raise
    is_same = champion.tags.get(_INPUT_TAG) == fold.input_hash
    return not is_same and int(champion.tags.get(_YEAR_TAG, 0)) <= fold.valid_from_on.year


def _register(client: MlflowClient, run_id: str, fold: ModelVersion) -> list[str]:
    """Log the fold's trees as a model of the active run, register it and let it be champion."""
    target = get_settings().models_dir / fold.artefact_dir
    features = fold.manifest["features"]
    model = load(target, expected_sha256=fold.artefact_sha256, features=features)
    assert isinstance(model, XgboostModel), "only the standard algorithm's folds are brought here"
    logged = mlflow.xgboost.log_model(
        model.booster,
        name="model",
        model_format="ubj",
        pip_requirements=_REQUIREMENTS,
        signature=ModelSignature(
            inputs=Schema([ColSpec(DataType.double, name) for name in features]),
            outputs=Schema([ColSpec(DataType.float, "probability")]),
        ),
        extra_files=[str(target / MANIFEST_FILE)],
    )
    with suppress(MlflowException):
        client.create_registered_model(fold.name)
    registered = client.create_model_version(
        fold.name,
        source=logged.model_uri,
        run_id=run_id,
        model_id=logged.model_id,
        tags={
            _INPUT_TAG: fold.input_hash,
            _YEAR_TAG: str(fold.valid_from_on.year),
            "acis.model_version_id": str(fold.model_version_id),
            "artefact_sha256": fold.artefact_sha256,
            "valid_from_on": fold.valid_from_on.isoformat(),
            "valid_to_on": fold.valid_to_on.isoformat(),
            "gate": "not yet judged",
        },
    )
    client.set_registered_model_alias(fold.name, CHAMPION, registered.version)
    return [fold.name]


def _measures_plot(folds: Sequence[ModelVersion]) -> Figure:
    judged = [fold for fold in folds if fold.metrics["auc"] is not None]
    years = [fold.valid_from_on.year for fold in judged]
    figure = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.axhline(0.5, color="grey", linewidth=0.8)
    upper.plot(years, [fold.metrics["auc"] for fold in judged], marker="o")
    upper.set(title=f"{folds[0].name}, out of sample", ylabel="AUC")
    lower.axhline(0.0, color="grey", linewidth=0.8)
    lower.plot(years, [fold.metrics["rank_ic"] for fold in judged], marker="o")
    lower.set(xlabel="test year", ylabel="rank IC")
    return figure


def _calibration_plot(folds: Sequence[ModelVersion]) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for fold in folds:
        tenths = fold.metrics["calibration"]
        if tenths:
            year = str(fold.valid_from_on.year)
            left.plot([tenth[0] for tenth in tenths], [tenth[1] for tenth in tenths], marker=".", label=year)
            right.plot(range(1, len(tenths) + 1), [100 * tenth[2] for tenth in tenths], marker=".", label=year)
    left.axline((0.5, 0.5), slope=1.0, color="grey", linewidth=0.8)
    left.set(title="calibration", xlabel="score", ylabel="share that beat the median")
    right.set(title="forward return", xlabel="tenth of the scores", ylabel="percent in 21 sessions")
    if left.lines[1:]:
        right.legend(fontsize="x-small")
    return figure
