"""How long whoever does or gives out jobs waits for what: one table of seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds. The defaults are for work; tests go faster.

    A job is taken from a worker that has been silent for `stale_s`, which bears a few heartbeats lost and a library
    that keeps the interpreter for a minute.
    """

    heartbeat_s: float = 5.0
    stale_s: float = 90.0
    progress_s: float = 1.0  # between two told moments of one step
    cancel_grace_s: float = 60.0  # until a job that does not come to its next progress is ended by force
    retry_pause_s: float = 10.0  # before the second try; three times as long before each further one
    recording_s: float = 60.0  # for which a worker tries to write down how a job came out
    round_s: float = 2.0  # between two looks of the dispatcher, where nobody calls
    resend_s: float = 30.0  # until a message that led to nothing is sent again
    takeover_s: float = 60.0  # until the dispatcher does itself what no worker has begun
    queue_down_s: float = 10.0  # the same, where the queue does not even answer
    housekeeping_s: float = 600.0
    stopping_s: float = 20.0  # for which the dispatcher's own jobs may go on when it is told to stop
