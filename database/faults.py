"""Faults of circumstance: the server went away, a lock was lost, the disk was full. The same work may succeed later."""

import adbc_driver_manager
import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import Unreachable

_ALWAYS = (
    Unreachable,
    InterfaceError,
    PendingRollbackError,
    PoolTimeout,
    psycopg.InterfaceError,
    psycopg.OperationalError,
    adbc_driver_manager.OperationalError,
    adbc_driver_manager.InterfaceError,
    ConnectionError,
    TimeoutError,
    MemoryError,
)
# Connection lost, transaction rolled back by the server, out of resources, lock not to be had, server going down,
# system error.
_STATES = ("08", "40", "53", "55P03", "57", "58")


def is_passing(error: BaseException) -> bool:
    """Whether the fault, or what it came from, lies in circumstances that pass."""
    if isinstance(error, _ALWAYS):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        return isinstance(error, OperationalError) or (state is not None and state.startswith(_STATES))
    return error.__cause__ is not None and is_passing(error.__cause__)
