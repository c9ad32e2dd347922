"""Progress of long work, told to whoever listens: a terminal, a job row, nobody."""

from typing import Protocol


class Progress(Protocol):
    """Told the step's name, how much is done and of how much."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def silent(step: str, done: int, total: int) -> None:
    """Nobody listens."""
