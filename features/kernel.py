"""Compiled loops, kept on disk where the disk may be written."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., object])


def kernel(loop: Loop) -> Loop:
    """Compile `loop` without the interpreter's lock.

    The machine code is cached beside the source or in the user's cache folder; where neither may be written it is
    compiled anew in each process.
    """
    try:
        compiled = njit(cache=True, nogil=True)(loop)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        compiled = njit(nogil=True)(loop)
    return cast(Loop, compiled)
