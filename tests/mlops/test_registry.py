"""Everything that was tried reaches MLflow, late or soon, once; aliases follow the roles; runs by hand are counted."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

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
from database.tables.models import ModelVersion
from ml_models.algorithm import probabilities
from ml_models.algorithms import ALGORITHMS
from ml_models.artefact import load
from ml_models.configuration import Configuration
from ml_models.dataset import Dataset
from ml_models.folds import store_fold
from ml_models.recipe import Recipe
from ml_models.training import plan_fold, train_fold
from mlops.jobs.sync_tracking import tracking_is_behind
from mlops.registry import EXPERIMENTS, TUNING, VERSION_TAG, SyncReport, sync_tracking
from registry import artefact
from registry.roles import hold, promote, register
from registry.trials import count_trials
from tests.factories.market import create_market
from tests.factories.models import create_model
from tests.factories.roles import create_verdict
from tests.factories.scores import QUICK_TREES, SCREENER_FEATURES, make_panel, make_snapshots, signal_reader
from tests.factories.trials import create_trial

# MLflow warns about its own code; ours is held to errors everywhere else.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TOY = Recipe(strategy="toy_largecap", keeps=(), emphasis={})
NAME = TOY.model_name
ALLOCATOR = "allocator-toy_largecap"
NEWEST = date(2013, 6, 28)
CHECKS = [
    {"name": "deflated_sharpe", "is_hard": False, "status": "pass", "value": 0.97, "bar": 0.95, "sentence": "proven"},
    {"name": "overfitting", "is_hard": False, "status": "pass", "value": 0.1, "bar": 0.2, "sentence": "chosen well"},
]


def train(algorithm: str, *years: int) -> None:
    """Train and store tiny folds of these years, as one configuration with what it earned."""
    panel = make_panel(first_year=2010, last_year=2013, instruments=30)
    rows = Dataset(
        panel=panel,
        features=[feature.name for feature in SCREENER_FEATURES],
        read_year=signal_reader(panel, strength=1.0),
        every_sessions=5,
        label_sessions=21,
        years_kept=6,
    )
    chosen = ALGORITHMS[algorithm]
    changes = QUICK_TREES if algorithm == "xgboost" else {}
    for year in years:
        plan = plan_fold(
            Configuration(TOY, chosen, chosen.configured(changes)),
            make_snapshots(2010, 2013),
            SCREENER_FEATURES,
            valid_from_on=date(year, 1, 1),
        )
        with transaction() as session:
            stored = store_fold(session, train_fold(plan, rows, SCREENER_FEATURES))
            model = session.get_one(ModelVersion, stored.model_version_id)
            assert model.trial_id is not None


def train_allocator() -> None:
    """An allocator's fold: one file, signed, and a test year."""
    with transaction() as session:
        folder, digest, manifest = artefact.save(
            get_settings().models_dir,
            name="allocator",
            label="2013",
            files={"policy-1.json": b'{"weights": [0.5, 0.5]}'},
            description={"year": 2013},
        )
        trial_id = create_trial(session, kind="allocator", strategy=TOY.strategy, years=[2012])
        create_model(
            session,
            kind="allocator",
            strategy=TOY.strategy,
            year=2013,
            trial_id=trial_id,
            artefact_dir=folder,
            artefact_sha256=digest,
            manifest=manifest,
            metrics={"test": {"table": [{"allocator": "ppo", "sharpe": 0.4, "turnover": 3.0}]}, "degeneracy": []},
        )


def stored(name: str = NAME, version: int = 1) -> ModelVersion:
    with transaction() as session:
        return next(row for row in models.find_versions(session, name=name) if row.version == version)


@pytest.fixture(scope="module")
def tracking_uri(committed_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking store without a server, MLflow's own tables in one file; the platform's tables are in Postgres."""
    with transaction() as session:
        create_market(session, instruments=2, sessions=3, last_on=NEWEST)
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    for name in (*EXPERIMENTS.values(), TUNING):
        MlflowClient(uri).create_experiment(name, artifact_location=(folder / "artefacts").as_uri())
    yield uri
    mlflow.set_tracking_uri("")
    mlflow.set_registry_uri("")


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri)


def runs_in(client: MlflowClient, name: str) -> list[mlflow.entities.Run]:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def aliases(client: MlflowClient, name: str = NAME) -> dict[str, str]:
    return {
        alias: client.get_model_version(name, number).tags[VERSION_TAG]
        for alias, number in client.get_registered_model(name).aliases.items()
    }


class TestSyncTracking:
    """In order: each test goes on from what the one before stored."""

    def test_a_server_that_does_not_answer_loses_nothing(
        self, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_answer(*_: object) -> None:
            raise MlflowException("connection refused")

        train("xgboost", 2012)
        monkeypatch.setattr(MlflowClient, "get_experiment_by_name", no_answer)
        with pytest.raises(Unreachable, match="did not take the models: connection refused"):
            sync_tracking(tracking_uri=tracking_uri)
        assert stored().tracking_run_id is None
        assert tracking_is_behind()

    def test_an_unjudged_model_is_shown_as_such_and_nobody_has_an_alias(
        self, tracking_uri: str, client: MlflowClient
    ) -> None:
        report = sync_tracking(tracking_uri=tracking_uri)
        assert report == SyncReport(runs=1, versions=1, aliases=(), counted=0)
        (run,) = runs_in(client, "screeners")
        assert run.info.run_id == stored().tracking_run_id
        assert run.info.status == "FINISHED"
        assert run.data.params["parameters.depth_max"] == "3"
        assert run.data.params["algorithm"] == "xgboost"
        tags = run.data.tags
        assert (tags["gate"], tags["strategy"], tags["kind"]) == ("not judged", TOY.strategy, "screener")
        assert (tags["artefact_sha256"], tags["feature_hash"]) == (stored().artefact_sha256, stored().feature_hash)
        assert [point.step for point in client.get_metric_history(run.info.run_id, "auc")] == [2012]
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert files >= {"calibration.png", "importance.png", "measures_by_year.png", "folds.json"}
        assert aliases(client) == {}

    def test_a_second_sync_changes_nothing(self, tracking_uri: str) -> None:
        assert sync_tracking(tracking_uri=tracking_uri) == SyncReport(runs=0, versions=0, aliases=(), counted=0)

    def test_a_sync_cut_off_before_its_last_line_makes_no_second_run(
        self, tracking_uri: str, client: MlflowClient
    ) -> None:
        (run,) = runs_in(client, "screeners")
        client.delete_tag(run.info.run_id, "acis.mark")
        assert sync_tracking(tracking_uri=tracking_uri).runs == 1
        assert [one.info.run_id for one in runs_in(client, "screeners")] == [run.info.run_id]
        assert len(client.get_metric_history(run.info.run_id, "auc")) == 1

    def test_aliases_and_gate_follow_roles_and_verdicts(self, tracking_uri: str, client: MlflowClient) -> None:
        with transaction() as session:
            model = stored()
            create_verdict(session, model, verdict="not_proven", reason="too short a record", checks=CHECKS)
            register(session, model=model, effective_on=date(2012, 1, 3), actor="gate")
        train("xgboost", 2013)
        with transaction() as session:
            newer = stored(version=2)
            create_verdict(session, newer, checks=CHECKS, reason="All checks pass.")
            register(session, model=newer, effective_on=date(2013, 1, 2), actor="gate")
            promote(session, model=newer, effective_on=date(2013, 1, 2), actor="gate")
        report = sync_tracking(tracking_uri=tracking_uri)
        assert report.aliases == (f"{NAME}@champion", f"{NAME}@challenger")
        assert set(aliases(client).values()) == {str(newer.model_version_id)}
        champion = client.get_model_version_by_alias(NAME, "champion")
        assert {key: champion.tags[key] for key in ("gate", "gate_reason", "trials", "dsr", "pbo")} == {
            "gate": "pass",
            "gate_reason": "All checks pass.",
            "trials": "1",
            "dsr": "0.97",
            "pbo": "0.1",
        }
        assert champion.tags["artefact_sha256"] == newer.artefact_sha256
        older = next(one for one in client.search_model_versions(f"name = '{NAME}'") if one.version != champion.version)
        assert older.tags["gate"] == "not_proven"
        (run,) = runs_in(client, "screeners")
        assert [point.step for point in client.get_metric_history(run.info.run_id, "auc")] == [2012, 2013]
        assert run.data.tags["gate"] == "pass"
        assert "gate.json" in {file.path for file in client.list_artifacts(run.info.run_id)}

    def test_a_scientist_loads_the_champion_and_gets_its_probabilities(self, tracking_uri: str) -> None:
        names = [feature.name for feature in SCREENER_FEATURES]
        X = np.random.default_rng(1).normal(size=(20, len(names))).astype(np.float32)
        X[0, 2] = np.nan
        mlflow.set_tracking_uri(tracking_uri)
        predicted = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(pd.DataFrame(X, columns=names))
        row = stored(version=2)
        own = load(get_settings().models_dir / row.artefact_dir, expected_sha256=row.artefact_sha256)
        np.testing.assert_allclose(predicted, probabilities(own.margins(X)), atol=1e-7)

    def test_an_alias_that_nobody_has_is_taken_away(self, tracking_uri: str, client: MlflowClient) -> None:
        with transaction() as session:
            hold(session, name=NAME, effective_on=NEWEST, actor="gate", reason="its inputs have drifted")
        client.set_registered_model_alias(NAME, "champion", "1")
        assert sync_tracking(tracking_uri=tracking_uri).aliases == (f"{NAME}@champion",)
        assert set(aliases(client)) == {"challenger"}

    def test_other_algorithms_and_allocators_come_with_their_files(
        self, tracking_uri: str, client: MlflowClient
    ) -> None:
        train("elastic_net", 2013)
        train_allocator()
        report = sync_tracking(tracking_uri=tracking_uri)
        assert (report.runs, report.versions) == (2, 2)
        (linear,) = [run for run in runs_in(client, "screeners") if run.data.tags["algorithm"] == "elastic_net"]
        assert "version-3" in {file.path for file in client.list_artifacts(linear.info.run_id)}
        (run,) = runs_in(client, "allocators")
        assert run.data.metrics["sharpe"] == 0.4
        assert "net_return" in run.data.metrics
        assert "out_of_sample.png" in {file.path for file in client.list_artifacts(run.info.run_id)}
        (registered,) = client.search_model_versions(f"name = '{ALLOCATOR}'")
        folder = mlflow.artifacts.download_artifacts(registered.source, tracking_uri=tracking_uri)
        assert registered.tags["artefact_sha256"] == stored(ALLOCATOR).artefact_sha256
        assert {"manifest.json", "manifest.sig", "policy-1.json"} <= set(_names(folder))

    def test_a_file_that_was_swapped_is_not_registered(self, tracking_uri: str, client: MlflowClient) -> None:
        train("elastic_net", 2012)
        (get_settings().models_dir / stored(version=4).artefact_dir / "manifest.json").write_text("{}")
        with transaction() as session:
            create_verdict(session, stored(version=4))
            promote(session, model=stored(version=4), effective_on=date(2012, 1, 3), actor="gate")
        assert sync_tracking(tracking_uri=tracking_uri).versions == 0
        assert len(client.search_model_versions(f"name = '{NAME}'")) == 3

    def test_tuning_trials_have_their_own_experiment(self, tracking_uri: str, client: MlflowClient) -> None:
        with transaction() as session:
            create_trial(session, strategy=TOY.strategy, years=[2012], seed=7, source="tuning")
        sync_tracking(tracking_uri=tracking_uri)
        (run,) = runs_in(client, TUNING)
        assert run.data.params["seed"] == "7"

    def test_runs_by_hand_are_counted_deleted_ones_too_once(self, tracking_uri: str, client: MlflowClient) -> None:
        with transaction() as session:
            before = count_trials(session, kind="screener"), count_trials(session, kind="allocator")
        screeners, allocators = (client.get_experiment_by_name(name) for name in ("screeners", "allocators"))
        assert screeners is not None
        assert allocators is not None
        client.create_run(screeners.experiment_id, tags={"strategy": TOY.strategy})
        client.delete_run(client.create_run(screeners.experiment_id).info.run_id)
        client.create_run(allocators.experiment_id)
        (own, *_) = runs_in(client, "allocators")
        copied = next(run for run in runs_in(client, "allocators") if "acis.trial" in run.data.tags)
        client.create_run(allocators.experiment_id, tags=dict(copied.data.tags))
        assert sync_tracking(tracking_uri=tracking_uri).counted == 4, own.info.run_id
        assert sync_tracking(tracking_uri=tracking_uri).counted == 4
        with transaction() as session:
            after = count_trials(session, kind="screener"), count_trials(session, kind="allocator")
        assert (after[0] - before[0], after[1] - before[1]) == (2, 2)

    def test_a_run_of_ours_that_somebody_deleted_comes_back(self, tracking_uri: str, client: MlflowClient) -> None:
        run_id = stored(version=2).tracking_run_id
        assert run_id is not None
        client.delete_run(run_id)
        assert sync_tracking(tracking_uri=tracking_uri).runs == 1
        assert client.get_run(run_id).info.lifecycle_stage == "active"


def _names(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]
