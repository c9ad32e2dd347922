"""The one error tree.

AcisError                      500  something of ours is broken
├── InputError                 422  the caller's input is wrong: names the field, the value, the remedy
│   ├── UnknownName            404  a name that is not in the list; carries the list
│   ├── NotFound               404  nothing with that number, or nothing that the caller may see
│   ├── NotASession            422  a date on which the exchange was closed; carries its neighbours
│   └── KeyReused              422  an idempotency key that stood for another request
├── NotSignedIn                401  nobody, or somebody whose sign-in has ended
│   └── SecondFactorNeeded     401  the password is right, and a code is needed as well
├── NotAllowed                 403  somebody who may not do this; says who may
│   └── PasswordChangeNeeded   403  a temporary password stands for nothing but choosing an own one
├── TooMany                    429  too often; carries the seconds to wait
├── TooLarge                   413  more than is read in one go; names the limit
├── Refused                    409  a rule of the platform says no, with its reason
│   ├── DataMissing            409  the data needed for the answer are not there
│   ├── Cancelled              409  a person asked for the work to stop
│   ├── Outdated               412  it was changed since the caller read it
│   ├── StillAtWork            409  the same work was asked for a moment ago; carries the seconds to wait
│   └── TransitionRefused      409  a state change that the state table does not hold
├── IntegrityBroken            500  an invariant does not hold; the account concerned is halted
│   └── ArtefactRefused        500  a model is not what was registered, or nobody trusted signed it; it is not loaded
└── Unreachable                503  a server or vendor did not answer; nothing is known about the outcome
"""

from collections.abc import Sequence
from datetime import date


class AcisError(Exception):
    """Root of the tree. `exit_code` is what the command line returns, `http_status` and `code` what the API answers."""

    http_status = 500
    exit_code = 1
    code = "internal"


class InputError(AcisError):
    """Wrong input. The message names the field, the value and the remedy."""

    http_status = 422
    exit_code = 2
    code = "input"


class UnknownName(InputError):
    """A name that nothing answers to."""

    http_status = 404
    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known)) or 'none yet'}")


class NotFound(InputError):
    """Nothing with that number, or nothing that the caller may see: the two answer alike."""

    http_status = 404
    code = "not_found"

    def __init__(self, kind: str, key: int | str) -> None:
        super().__init__(f"there is no {kind} {key} here: look at the list of those that you may see")


class NotASession(InputError):
    """A date on which the exchange did not trade."""

    code = "not_a_session"

    def __init__(self, day: date, previous: date, following: date) -> None:
        super().__init__(f"{day} is not a trading session; the previous one is {previous}, the next one {following}")


class KeyReused(InputError):
    """An idempotency key that already stands for another request."""

    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was used for another request: use a new key for new work")


class NotSignedIn(AcisError):
    """Nobody, or somebody whose sign-in has ended."""

    http_status = 401
    exit_code = 2
    code = "not_signed_in"


class NotAllowed(AcisError):
    """Somebody who may not do this."""

    http_status = 403
    exit_code = 2
    code = "not_allowed"


class SecondFactorNeeded(NotSignedIn):
    """The password is right, and a code is needed as well."""

    code = "second_factor_needed"


class PasswordChangeNeeded(NotAllowed):
    """A temporary password stands for nothing but choosing an own one."""

    code = "password_change_needed"


class TooMany(AcisError):
    """Too often."""

    http_status = 429
    exit_code = 2
    code = "too_many"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLarge(AcisError):
    """More than is read in one go."""

    http_status = 413
    exit_code = 2
    code = "too_large"


class Refused(AcisError):
    """A rule of the platform says no."""

    http_status = 409
    exit_code = 2
    code = "refused"


class DataMissing(Refused):
    """The data needed for an answer are not there."""

    code = "data_missing"


class Cancelled(Refused):
    """A person asked for the work to stop, and it stopped."""

    code = "cancelled"


class Outdated(Refused):
    """A change of something that has changed since the caller read it."""

    http_status = 412
    code = "outdated"

    def __init__(self, kind: str, key: int | str) -> None:
        super().__init__(f"{kind} {key} was changed since you read it: read it again, then say what to change")


class StillAtWork(Refused):
    """The same work, asked for a moment ago, has not ended yet."""

    code = "still_at_work"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TransitionRefused(Refused):
    """A state change that the state table does not hold."""

    code = "transition_refused"


class IntegrityBroken(AcisError):
    """An invariant does not hold."""

    code = "integrity_broken"


class ArtefactRefused(IntegrityBroken):
    """A model on disk that must not be loaded; whoever serves goes on with the model before it."""

    code = "artefact_refused"


class Unreachable(AcisError):
    """No answer: the outcome is unknown."""

    http_status = 503
    exit_code = 3
    code = "unreachable"
