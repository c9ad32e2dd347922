"""A model is what was stored, or it is not loaded."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import xgboost

from core.errors import IntegrityBroken
from ml_models.algorithms.xgboost_trees import FILE as MODEL_FILE
from ml_models.algorithms.xgboost_trees import XgboostModel
from ml_models.artefact import MANIFEST_FILE, Manifest, load, save
from registry.artefact import SIGNATURE_FILE

FEATURES = ("a", "b")
X = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> XgboostModel:
    matrix = xgboost.DMatrix(X, label=(X[:, 0] > 0).astype(np.float32), feature_names=list(FEATURES))
    return XgboostModel(xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, num_boost_round=3))


@pytest.fixture
def manifest(model: XgboostModel) -> Manifest:
    return Manifest(
        name="screener-toy",
        strategy="toy",
        algorithm="xgboost",
        tuned=False,
        origin={},
        features=FEATURES,
        train_from_on="2012-01-03",
        train_to_on="2016-04-01",
        validation_from_on="2016-06-01",
        validation_to_on="2016-11-30",
        last_label_on="2016-12-30",
        valid_from_on="2017-01-01",
        valid_to_on="2018-01-01",
        label_sessions=21,
        parameters={},
        emphasis={},
        rounds=3,
        best_round=3,
        validation_auc=0.69,
        train_rows=200,
        validation_rows=100,
        input_hash="0" * 64,
        feature_hash="1" * 64,
        data_vintage={},
        code_commit="unknown",
        library=f"xgboost {xgboost.__version__}",
        model_sha256=sha256(model.to_files()[MODEL_FILE]).hexdigest(),
    )


class TestSaveAndLoad:
    def test_comes_back_bit_for_bit(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, manifest)
        loaded = load(tmp_path / folder, expected_sha256=digest, features=FEATURES)
        np.testing.assert_array_equal(loaded.margins(X), model.margins(X))
        assert loaded.to_files() == model.to_files()

    def test_saving_twice_touches_nothing(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        first = save(tmp_path, model, manifest)
        before = (tmp_path / first[0] / MODEL_FILE).stat().st_mtime_ns
        assert save(tmp_path, model, manifest) == first
        assert (tmp_path / first[0] / MODEL_FILE).stat().st_mtime_ns == before

    def test_half_an_artefact_is_replaced(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, manifest)
        (tmp_path / folder / MODEL_FILE).unlink()
        assert save(tmp_path, model, manifest) == (folder, digest)
        load(tmp_path / folder, expected_sha256=digest)

    def test_nothing_else_is_left_in_the_folder(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, _ = save(tmp_path, model, manifest)
        assert [path.name for path in (tmp_path / folder).parent.iterdir()] == [(tmp_path / folder).name]
        assert {path.name for path in (tmp_path / folder).iterdir()} == {MODEL_FILE, MANIFEST_FILE, SIGNATURE_FILE}


class TestRefusals:
    def test_an_edited_manifest(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, manifest)
        path = tmp_path / folder / MANIFEST_FILE
        content = json.loads(path.read_text()) | {"valid_to_on": "2030-01-01"}
        path.write_text(json.dumps(content))
        with pytest.raises(IntegrityBroken, match="manifest is not the one that was registered"):
            load(tmp_path / folder, expected_sha256=digest)

    @pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.999])
    def test_a_flipped_byte_anywhere_in_the_trees(
        self, tmp_path: Path, model: XgboostModel, manifest: Manifest, place: float
    ) -> None:
        folder, digest = save(tmp_path, model, manifest)
        path = tmp_path / folder / MODEL_FILE
        data = bytearray(path.read_bytes())
        data[int(place * len(data))] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(IntegrityBroken, match="is not the file of its manifest"):
            load(tmp_path / folder, expected_sha256=digest)

    def test_another_models_files(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        _, digest = save(tmp_path, model, manifest)
        other, _ = save(tmp_path, model, replace(manifest, valid_from_on="2018-01-01", valid_to_on="2019-01-01"))
        with pytest.raises(IntegrityBroken, match="manifest is not the one"):
            load(tmp_path / other, expected_sha256=digest)

    def test_other_features_at_hand(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, manifest)
        with pytest.raises(IntegrityBroken, match="features differ"):
            load(tmp_path / folder, expected_sha256=digest, features=("b", "a"))

    def test_an_algorithm_that_is_none_of_ours(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, replace(manifest, algorithm="pickle"))
        with pytest.raises(IntegrityBroken, match="algorithm 'pickle' is none of elastic_net, ensemble, lightgbm"):
            load(tmp_path / folder, expected_sha256=digest)

    def test_files_of_another_algorithm(self, tmp_path: Path, model: XgboostModel, manifest: Manifest) -> None:
        folder, digest = save(tmp_path, model, replace(manifest, algorithm="lightgbm"))
        with pytest.raises(IntegrityBroken, match=r"it holds no model\.txt"):
            load(tmp_path / folder, expected_sha256=digest)

    def test_a_missing_file_names_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(IntegrityBroken, match="acis train screener"):
            load(tmp_path / "screener-toy" / "nowhere", expected_sha256="")
