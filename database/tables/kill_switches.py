"""The switches that stop orders from leaving: for a client, a strategy, or everything."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class KillSwitch(Base):
    """One throw of a switch. While `released_at` is null no order under it is proposed, claimed or sent."""

    __tablename__ = "kill_switches"
    __table_args__ = (
        CheckConstraint("scope in ('client', 'strategy', 'everything')", name="scope"),
        CheckConstraint(
            "(scope = 'client') = (client_id is not null) and (scope = 'strategy') = (strategy is not null)",
            name="target",
        ),
        CheckConstraint("length(reason) > 0", name="reason"),
        CheckConstraint("(released_at is null) = (released_by is null)", name="released"),
        Index(
            "uq_kill_switches_engaged",
            "scope",
            "client_id",
            "strategy",
            unique=True,
            postgresql_where="released_at is null",
            postgresql_nulls_not_distinct=True,
        ),
    )

    kill_switch_id: Mapped[Id]
    scope: Mapped[str] = mapped_column(String(16))
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.client_id"), index=True)
    strategy: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    engaged_by: Mapped[str] = mapped_column(String(254))
    engaged_at: Mapped[CreatedAt]
    released_by: Mapped[str | None] = mapped_column(String(254))
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str | None] = mapped_column(Text)
