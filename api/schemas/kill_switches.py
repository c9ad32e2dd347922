"""Kill switches."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.practice import Given, Name, Number, Read

Scope = Literal["client", "strategy", "everything"]


class KillSwitchOut(Read):
    """One throw of a switch; it is on while `released_at` is null."""

    kill_switch_id: int
    scope: Scope
    client_id: int | None
    client: str | None
    strategy: str | None
    reason: str
    engaged_by: str
    engaged_at: datetime
    released_by: str | None
    released_at: datetime | None
    release_reason: str | None


class KillSwitchIn(Given):
    """What to stop."""

    scope: Scope
    client_id: Number | None = Field(default=None, description="For the scope `client`.")
    strategy: Name | None = Field(default=None, description="For the scope `strategy`.", examples=["momentum_largecap"])
    reason: Name = Field(examples=["prices of tonight look wrong"])


class KillSwitchEngaged(Read):
    """A switch that has been thrown."""

    kill_switch_id: int
    is_settled: bool = Field(
        description="True: no order under it leaves from now on. False: one call to a broker was still open after a"
        " second, and only the orders of that call may still arrive there."
    )


class KillSwitchRelease(Given):
    """The word that lets orders leave again."""

    reason: Name = Field(examples=["prices were put right"])
    typed: str | None = Field(
        default=None, max_length=20, description="For the scope `everything`: that word, typed by a person."
    )
    send_waiting: bool = Field(
        default=False,
        description="Whether orders that were approved and held back are sent now, or wait to be asked for.",
    )


class KillSwitchReleased(Read):
    """A switch that is off."""

    kill_switch_id: int
    waiting_order_ids: list[int] = Field(description="Approved orders that no switch holds back any more.")
    job_id: int | None = Field(description="The job that sends them, where that was asked for.")
