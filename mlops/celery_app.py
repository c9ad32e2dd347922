"""The worker: `celery --app mlops.celery_app worker`. The queue carries numbers of jobs; the rows are the truth.

A message is acknowledged after its work and goes back to the queue when its process dies; one that comes twice, late
or for a job that is done finds nothing to do. So a lost or doubled message costs time, never an order.
"""

from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from kombu.exceptions import OperationalError

from core.config import get_settings
from core.errors import Unreachable
from core.log import configure_logs
from mlops.worker import do
from mlops.workers import WORKER, ready_file

TASK = "run-job"
QUEUE = "acis"
_LONGEST_JOB_S = 4 * 3600

app = Celery("acis", broker=get_settings().queue_url)
app.conf.update(
    task_default_queue=QUEUE,
    # One at a time, given back when the worker dies in the middle of it.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # A process a job: no night runs beside what a training or a sync left loaded, nor with models loaded before a key
    # was retired.
    worker_max_tasks_per_child=1,
    task_time_limit=_LONGEST_JOB_S,
    task_soft_time_limit=_LONGEST_JOB_S - 300,
    # A message that stays unacknowledged for longer is delivered again, so this is longer than the longest job.
    broker_transport_options={"visibility_timeout": 2 * _LONGEST_JOB_S},
    broker_connection_retry_on_startup=True,
    # A queue that is away for a night is waited for; the dispatcher does the jobs meanwhile.
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    # Told to stop, a worker gives its job this long, then puts it back.
    worker_soft_shutdown_timeout=15.0,
    # Only JSON: no message can carry code. Results stand in the rows of `jobs`.
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    enable_utc=True,
)


def run_job(job_id: int) -> str:
    """The one task: do the job with this number, if it is there to be done."""
    return do(job_id)


app.task(run_job, name=TASK)


def send(job_id: int) -> None:
    """Put the number of a job into the queue. Unreachable where the queue's server does not answer."""
    try:
        app.send_task(TASK, kwargs={"job_id": job_id}, retry=False)
    except OperationalError as error:
        raise Unreachable(f"the job queue does not answer ({error}); start it with `acis up`") from error


def _before_the_first_job(**_: Any) -> None:
    # What a job logs from INFO on are lines that people read beside it.
    configure_logs(get_settings().model_copy(update={"log_level": "INFO"}))


def _worker_is_ready(**_: Any) -> None:
    ready_file(WORKER).parent.mkdir(parents=True, exist_ok=True)
    ready_file(WORKER).touch()


worker_process_init.connect(_before_the_first_job)
worker_ready.connect(_worker_is_ready)
