"""What scores and weighs for clients loads no pickle, no MLflow and no training library, and works without them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import xgboost

from core.config import REPOSITORY, child_environment, get_settings
from features.library import FEATURES
from registry import artefact
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS
from rl_trading.windows import STOCKS
from tests.registry.test_artefact import graph

# What a night, a replay and the reading of models start from.
SERVING = (
    "mlops.night",
    "mlops.jobs.nightly",
    "mlops.jobs.replay",
    "ml_models.service",
    "rl_trading.service",
    "registry.service",
)
# Loaders of pickles, and what trains or tracks. PyArrow imports cloudpickle wherever it is installed, for types that
# nobody here has; MLflow brings it along, so an installation that only serves does not have it.
PICKLE_LOADERS = ("joblib", "dill", "sklearn", "skops", "shelve")
NOT_FOR_SERVING = ("mlflow", "torch", "stable_baselines3", "gymnasium", "onnx", "onnxscript", "skl2onnx", "optuna")
ONLY_BY_PYARROW = "cloudpickle"

_IMPORT = f"import {', '.join(SERVING)}"

WATCH = """
import json, sys, traceback
askers = set()


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == %(watched)r:
            frames = [f.filename for f in traceback.extract_stack()[:-1] if "importlib" not in f.filename]
            askers.add(frames[-1])


sys.meta_path.insert(0, Watch())
%(imports)s
print(json.dumps({"loaded": sorted(sys.modules), "askers": sorted(askers)}))
"""

SCORE = """
import sys
from pathlib import Path
import numpy as np

events, running = [], False


def heard(event, arguments):
    if running and event in {"pickle.find_class", "marshal.loads", "ctypes.dlopen", "os.system", "subprocess.Popen"}:
        events.append((event, str(arguments)))


sys.addaudithook(heard)
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in %(absent)r:
            raise ModuleNotFoundError(name, name=name)


sys.meta_path.insert(0, Absent())

%(imports)s
import pickle, _pickle
from features.library import FEATURES
from ml_models import artefact as screeners
from ml_models.explain import stand
from ml_models.screening import Shown, screen
from rl_trading import artefact as allocators
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS
from rl_trading.windows import STOCKS


def refuse(*arguments, **options):
    raise AssertionError("something was unpickled")


for module in (pickle, _pickle):
    for name in ("load", "loads", "Unpickler"):
        setattr(module, name, refuse)
np.load = refuse

running = True
screener, screener_sha256, allocator, allocator_sha256 = sys.argv[1:]
model = screeners.load(Path(screener), expected_sha256=screener_sha256, features=tuple(FEATURES))
X = np.random.default_rng(0).standard_normal((200, len(FEATURES)), dtype=np.float32)
shown = Shown(np.arange(200, dtype=np.int32), X, tuple(FEATURES.values()), stand(X))
rows = screen(model, shown, explained=True)
assert len(rows.reasons) == len(rows.scores) == 100 and rows.reasons[0]
policy = allocators.load(Path(allocator), allocator_sha256)
seen = np.zeros((1, STOCKS, len(STOCK_COLUMNS)), dtype=np.float32)
context = np.zeros((1, len(CONTEXT_COLUMNS)), dtype=np.float32)
weights = policy.weights(seen, np.ones((1, STOCKS), dtype=bool), context, np.zeros((1, STOCKS)), np.array([[1.0, 0.0]]))
assert abs(weights.sum() - 1.0) < 1e-9
running = False
import json
print(json.dumps({"events": events, "loaded": sorted(sys.modules)}))
"""


def run(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a fresh interpreter says."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        env=child_environment(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """What a fresh process that serves has loaded, and which files asked for cloudpickle."""
    said: dict[str, list[str]] = json.loads(run(WATCH % {"imports": _IMPORT, "watched": ONLY_BY_PYARROW}))
    return said


def test_what_serves_imports_neither_pickle_loaders_nor_what_trains(imported: dict[str, list[str]]) -> None:
    assert sorted({*PICKLE_LOADERS, *NOT_FOR_SERVING} & set(imported["loaded"])) == []


def test_nothing_but_pyarrow_asks_for_cloudpickle(imported: dict[str, list[str]]) -> None:
    strangers = [path for path in imported["askers"] if "/pyarrow/" not in path and "/cloudpickle/" not in path]
    assert strangers == []


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A screener and an allocator on disk, signed: folder and hash of each."""
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    X = np.random.default_rng(1).normal(size=(300, len(FEATURES))).astype(np.float32)
    rows = xgboost.DMatrix(X, label=(X[:, 0] > 0).astype(np.float32), feature_names=list(FEATURES), nthread=1)
    trees = xgboost.train({"objective": "binary:logistic", "nthread": 1}, rows, 5).save_raw(raw_format="ubj")
    screener = {"features": list(FEATURES), "algorithm": "xgboost"}
    allocator = {"stocks": STOCKS, "stock_columns": STOCK_COLUMNS, "context_columns": CONTEXT_COLUMNS}
    found = []
    for name, file, content, description in (
        ("screener-toy", "model.ubj", bytes(trees), screener),
        ("allocator", "policy.onnx", graph(1), allocator),
    ):
        folder, digest, _ = artefact.save(
            get_settings().models_dir, name=name, label="2017", files={file: content}, description=description
        )
        found += [str(get_settings().models_dir / folder), digest]
    get_settings.cache_clear()
    return found


def test_loading_scoring_and_weighing_unpickles_nothing_and_needs_none_of_them(
    stored: list[str], tmp_path: Path
) -> None:
    absent = (*PICKLE_LOADERS, *NOT_FOR_SERVING, ONLY_BY_PYARROW)
    said = json.loads(
        run(SCORE % {"absent": absent, "imports": _IMPORT}, *stored, environment={"ACIS_VAR_DIR": str(tmp_path)})
    )
    assert said["events"] == []
    assert "xgboost" in said["loaded"]
    assert "onnxruntime" in said["loaded"]


def test_the_watch_hears_a_pickle(tmp_path: Path) -> None:
    """The same watch over code that unpickles: it must be heard, or the test above proves nothing."""
    heard = SCORE[: SCORE.index("class Absent")] + (
        "import pickle, datetime\n"
        "content = pickle.dumps(datetime.date(2017, 6, 30))\n"
        "running = True\npickle.loads(content)\nrunning = False\nprint(events)"
    )
    assert "pickle.find_class" in run(heard)
