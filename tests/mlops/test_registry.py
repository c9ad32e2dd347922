"""Models reach MLflow, late or soon, once; and a data scientist can load the champion."""

from collections.abc import Iterator
from datetime import date

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from core.config import get_settings
from core.errors import Unreachable
from database.queries import models
from database.session import transaction
from ml_models.algorithm import probabilities
from ml_models.algorithms import ALGORITHMS
from ml_models.artefact import load
from ml_models.configuration import Configuration
from ml_models.dataset import Dataset
from ml_models.folds import store_fold
from ml_models.recipe import Recipe
from ml_models.training import plan_fold, train_fold
from mlops.registry import CHAMPION, EXPERIMENT, KIND, sync_tracking
from tests.factories.scores import QUICK_TREES, SCREENER_FEATURES, make_panel, make_snapshots, signal_reader

# MLflow warns about its own code; ours is held to errors everywhere else.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TOY = Recipe(strategy="toy_largecap", keeps=(), emphasis={})
XGBOOST = ALGORITHMS["xgboost"]
NAME = TOY.model_name


def train(*years: int) -> None:
    """Train and store tiny folds of these years."""
    panel = make_panel(first_year=2010, last_year=2013, instruments=30)
    rows = Dataset(
        panel=panel,
        features=[feature.name for feature in SCREENER_FEATURES],
        read_year=signal_reader(panel, strength=1.0),
        every_sessions=5,
        label_sessions=21,
        years_kept=6,
    )
    for year in years:
        plan = plan_fold(
            Configuration(TOY, XGBOOST, XGBOOST.configured(QUICK_TREES)),
            make_snapshots(2010, 2013),
            SCREENER_FEATURES,
            valid_from_on=date(year, 1, 1),
        )
        with transaction() as session:
            store_fold(session, train_fold(plan, rows, SCREENER_FEATURES))


def folds_to_log() -> int:
    with transaction() as session:
        return len(models.untracked_models(session, kind=KIND))


@pytest.fixture(scope="module")
def tracking_uri(committed_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking store without a server, MLflow's own tables in one file; the platform's tables are in Postgres."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(uri).create_experiment(EXPERIMENT, artifact_location=(folder / "artefacts").as_uri())
    yield uri
    mlflow.set_tracking_uri("")
    mlflow.set_registry_uri("")


class TestSyncTracking:
    """In order: each test goes on from what the one before stored."""

    def test_a_server_that_does_not_answer_loses_nothing(
        self, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_answer(*_: object) -> None:
            raise MlflowException("connection refused")

        train(2012)
        assert folds_to_log() == 1
        monkeypatch.setattr(mlflow, "set_experiment", no_answer)
        with pytest.raises(Unreachable, match="did not take the models: connection refused"):
            sync_tracking(tracking_uri=tracking_uri)
        assert folds_to_log() == 1

    def test_logs_what_is_missing_and_names_the_champion(self, tracking_uri: str) -> None:
        report = sync_tracking(tracking_uri=tracking_uri)
        assert (report.runs, report.folds, report.champions) == (1, 1, (NAME,))
        client = MlflowClient(tracking_uri)
        champion = client.get_model_version_by_alias(NAME, CHAMPION)
        assert champion.tags["gate"] == "not yet judged"
        assert champion.tags["valid_from_on"] == "2012-01-01"
        assert champion.run_id
        run = client.get_run(champion.run_id)
        assert run.data.params["depth_max"] == "3"
        assert run.data.tags["strategy"] == TOY.strategy
        assert [point.step for point in client.get_metric_history(run.info.run_id, "auc")] == [2012]
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"calibration.png", "measures_by_year.png", "folds.json"} <= files

    def test_a_second_sync_logs_nothing(self, tracking_uri: str) -> None:
        assert sync_tracking(tracking_uri=tracking_uri).runs == 0

    def test_a_sync_cut_off_before_its_last_line_makes_no_second_run(self, tracking_uri: str) -> None:
        with transaction() as session:
            rows = models.newest_folds(session, kind="screener")
            models.record_tracking_run(
                session, model_version_ids=[row.model_version_id for row in rows], tracking_run_id=None
            )
        assert sync_tracking(tracking_uri=tracking_uri).champions == ()
        client = MlflowClient(tracking_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        assert len(client.search_runs([experiment.experiment_id])) == 1
        assert len(client.search_model_versions(f"name = '{NAME}'")) == 1

    def test_a_newer_fold_becomes_champion_and_an_older_one_does_not(self, tracking_uri: str) -> None:
        client = MlflowClient(tracking_uri)
        train(2013)
        assert sync_tracking(tracking_uri=tracking_uri).champions == (NAME,)
        assert client.get_model_version_by_alias(NAME, CHAMPION).tags["acis.fold_year"] == "2013"

    def test_a_scientist_loads_the_champion_and_gets_its_probabilities(self, tracking_uri: str) -> None:
        names = [feature.name for feature in SCREENER_FEATURES]
        X = np.random.default_rng(1).normal(size=(20, len(names))).astype(np.float32)
        X[0, 2] = np.nan
        mlflow.set_tracking_uri(tracking_uri)
        predicted = mlflow.pyfunc.load_model(f"models:/{NAME}@{CHAMPION}").predict(pd.DataFrame(X, columns=names))
        with transaction() as session:
            row = models.newest_folds(session, kind="screener")[-1]
        own = load(get_settings().models_dir / row.artefact_dir, expected_sha256=row.artefact_sha256)
        np.testing.assert_allclose(predicted, probabilities(own.margins(X)), atol=1e-7)
