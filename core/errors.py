"""The one error tree.

AcisError                      500  something of ours is broken
├── InputError                 422  the caller's input is wrong: names the field, the value, the remedy
│   ├── UnknownName            404  a name that is not in the list; carries the list
│   └── NotASession            422  a date on which the exchange was closed; carries its neighbours
├── Refused                    409  a rule of the platform says no, with its reason
│   ├── DataMissing            409  the data needed for the answer are not there
│   └── TransitionRefused      409  a state change that the state table does not hold
├── IntegrityBroken            500  an invariant does not hold; the account concerned is halted
│   └── ArtefactRefused        500  a model is not what was registered, or nobody trusted signed it; it is not loaded
└── Unreachable                503  a server or vendor did not answer; nothing is known about the outcome
"""

from collections.abc import Sequence
from datetime import date


class AcisError(Exception):
    """Root of the tree. `exit_code` is what the command line returns, `http_status` what the API answers."""

    http_status = 500
    exit_code = 1


class InputError(AcisError):
    """Wrong input. The message names the field, the value and the remedy."""

    http_status = 422
    exit_code = 2


class UnknownName(InputError):
    """A name that nothing answers to."""

    http_status = 404

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known)) or 'none yet'}")


class NotASession(InputError):
    """A date on which the exchange did not trade."""

    def __init__(self, day: date, previous: date, following: date) -> None:
        super().__init__(f"{day} is not a trading session; the previous one is {previous}, the next one {following}")


class Refused(AcisError):
    """A rule of the platform says no."""

    http_status = 409
    exit_code = 2


class DataMissing(Refused):
    """The data needed for an answer are not there."""


class TransitionRefused(Refused):
    """A state change that the state table does not hold."""


class IntegrityBroken(AcisError):
    """An invariant does not hold."""


class ArtefactRefused(IntegrityBroken):
    """A model on disk that must not be loaded; whoever serves goes on with the model before it."""


class Unreachable(AcisError):
    """No answer: the outcome is unknown."""

    http_status = 503
    exit_code = 3
