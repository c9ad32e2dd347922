"""Who was champion and challenger since when, by whose word: the history of each model name's roles."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class ModelRole(Base):
    """One change of one role; it holds from `effective_on` until the next. No version: nobody has the role.

    register: the gate has judged a version, which becomes challenger. promote: the gate's word. request_override and
    override: two people against or without the gate's word. rollback: back to an earlier champion or to nobody. hold
    and release: the champion is taken out of service for a while.
    """

    __tablename__ = "model_roles"
    __table_args__ = (
        CheckConstraint("kind in ('screener', 'allocator')", name="kind"),
        CheckConstraint("role in ('champion', 'challenger')", name="role"),
        CheckConstraint(
            "action in ('register', 'retire', 'promote', 'request_override', 'override', 'rollback', 'hold',"
            " 'release')",
            name="action",
        ),
        CheckConstraint("action <> 'promote' or verdict_id is not null", name="promoted_by_gate"),
        CheckConstraint(
            "(action = 'override') = (second_actor is not null) and second_actor is distinct from actor",
            name="two_people",
        ),
        CheckConstraint("length(reason) > 0", name="reason"),
        Index("ix_model_roles_name_effective_on", "name", "effective_on"),
    )

    model_role_id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    strategy: Mapped[str] = mapped_column(String(32))
    role: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(24))
    model_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.model_version_id"))
    verdict_id: Mapped[int | None] = mapped_column(ForeignKey("gate_verdicts.verdict_id"))
    effective_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(254))
    second_actor: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[CreatedAt]
