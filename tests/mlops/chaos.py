"""The processes of the chaos tests: as in earnest, but quicker, and they know the jobs of the tests.

`python -m tests.mlops.chaos worker | dispatcher | job JOB_ID`
"""

import signal
import sys
import threading
from functools import partial

import mlops.celery_app
from core.config import get_settings
from core.log import configure_logs
from mlops import worker
from mlops.dispatcher import Dispatcher
from mlops.pace import Pace
from tests.factories.jobs import register

QUICK = Pace(
    heartbeat_s=0.2,
    stale_s=2.5,
    progress_s=0.0,
    retry_pause_s=0.2,
    recording_s=10.0,
    round_s=0.3,
    resend_s=2.0,
    takeover_s=4.0,
    queue_down_s=0.5,
    stopping_s=5.0,
)
COMMAND = (sys.executable, "-m", "tests.mlops.chaos")


def main(words: list[str]) -> int:
    """Be the process that the first word names."""
    register()
    configure_logs(get_settings().model_copy(update={"log_level": "INFO"}))
    if words[0] == "worker":
        setattr(mlops.celery_app, "do", partial(worker.do, pace=QUICK))  # noqa: B010 the module keeps it to itself
        mlops.celery_app.app.worker_main(
            ["worker", "--concurrency", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        )
        return 0
    if words[0] == "job":
        return worker.main(words[1:], pace=QUICK)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    Dispatcher(pace=QUICK, worker_command=(*COMMAND, "job")).run(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
