"""What the API's process does not carry: it answers from rows, in memory that a small machine has."""

import subprocess
import sys

# Each once came along with something small, and weighs 20 to 100 MB. The import contracts see our own imports; this
# sees what really is loaded.
TOO_HEAVY = (
    "celery",
    "exchange_calendars",
    "mlflow",
    "mlops",
    "ml_models",
    "numba",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "rl_trading",
    "scipy.optimize",
    "scipy.stats",
    "sklearn",
    "torch",
    "xgboost",
)


class TestWeight:
    def test_the_api_loads_nothing_heavy(self) -> None:
        code = f"import sys, api.app; api.app.create_app(); print([n for n in {TOO_HEAVY!r} if n in sys.modules])"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip().splitlines()[-1] == "[]"
