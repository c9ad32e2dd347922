"""The worker: `celery --app mlops.celery_app worker`, and the scheduler: `celery --app mlops.celery_app beat`.

A job is acknowledged after its work, goes back to the queue when its process dies, and is safe to run twice: its
run row is unique and its verbs are idempotent. So a lost or doubled message costs time, never an order.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_process_init, worker_ready
from kombu.exceptions import OperationalError

from core.config import get_settings
from core.errors import NotASession, Refused, Unreachable
from core.jobs import KINDS, Job, Ticket
from core.log import configure_logs, get_logger
from mlops.schedule import beat_schedule
from mlops.workers import BEAT, WORKER, ready_file

_LONGEST_JOB_S = 4 * 3600
_log = get_logger("mlops")

app = Celery("acis", broker=get_settings().queue_url)
app.conf.update(
    task_default_queue="acis",
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
    worker_cancel_long_running_tasks_on_connection_loss=True,
    # Told to stop, a worker gives its job this long, then puts it back.
    worker_soft_shutdown_timeout=15.0,
    # Only JSON: no message can carry code. Results stand in the rows of `runs`.
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    timezone="America/New_York",
    enable_utc=True,
    beat_schedule=beat_schedule(),
)


QUEUED: tuple[type[Job], ...] = tuple(KINDS.values())


def perform(kind: type[Job], payload: dict[str, Any]) -> str:
    """Parse the payload and do the job. A refusal of the platform is an answer, not a failure; returns which."""
    job = kind.model_validate(payload)
    work = import_module(f"mlops.jobs.{kind.name.replace('-', '_')}")
    try:
        work.perform(job, Ticket(job_id=0, origin_id=0, actor="celery"))
    except NotASession as reason:
        _log.info("no session, no work", job=kind.name, reason=str(reason))
        return "no session"
    except Refused as reason:
        _log.warning("refused", job=kind.name, reason=str(reason))
        return "refused"
    _log.info("done", job=kind.name)
    return "done"


def _task(kind: type[Job]) -> Callable[..., str]:
    def task(payload: dict[str, Any]) -> str:
        return perform(kind, payload)

    return task


for _kind in QUEUED:
    app.task(_task(_kind), name=_kind.name)


def send(job: Job) -> None:
    """Put a job into the queue. Unreachable where the queue's server does not answer."""
    try:
        app.send_task(job.name, kwargs={"payload": job.model_dump(mode="json")}, retry=False)
    except OperationalError as error:
        raise Unreachable(f"the job queue does not answer ({error}); start it with `acis up`") from error


def _before_the_first_job(**_: Any) -> None:
    configure_logs(get_settings())


def _worker_is_ready(**_: Any) -> None:
    ready_file(WORKER).touch()


def _beat_is_ready(**_: Any) -> None:
    ready_file(BEAT).touch()


worker_process_init.connect(_before_the_first_job)
worker_ready.connect(_worker_is_ready)
beat_init.connect(_beat_is_ready)
