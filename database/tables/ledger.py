"""The paper ledger: an append-only double-entry journal whose balance the database itself enforces."""

from datetime import date
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id

LEDGER_ACCOUNTS = ("cash", "securities", "capital", "dividends", "realised_gains", "commissions")


class JournalEntry(Base):
    """One event; its lines sum to zero. `source_key` is natural: booking the same event twice is a no-op."""

    __tablename__ = "journal_entries"
    __table_args__ = (
        CheckConstraint(
            "kind in ('deposit', 'withdrawal', 'fill', 'dividend', 'split', 'transfer', 'reversal')", name="kind"
        ),
        UniqueConstraint("account_id", "source_key"),
        Index("ix_journal_entries_account_id_booked_on", "account_id", "booked_on"),
        Index("ix_journal_entries_account_id_entry_id", "account_id", "entry_id"),
        Index(
            "ix_journal_entries_flows",
            "account_id",
            "booked_on",
            postgresql_where="kind in ('deposit', 'withdrawal', 'transfer', 'reversal')",
        ),
    )

    entry_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    booked_on: Mapped[date]
    kind: Mapped[str] = mapped_column(String(16))
    source_key: Mapped[str] = mapped_column(String(128))
    memo: Mapped[str] = mapped_column(Text)
    reverses_entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entries.entry_id"))
    created_at: Mapped[CreatedAt]


class JournalLine(Base):
    """Debit (positive) or credit (negative) of one ledger account."""

    __tablename__ = "journal_lines"
    __table_args__ = (
        CheckConstraint(
            "ledger_account in ('cash', 'securities', 'capital', 'dividends', 'realised_gains', 'commissions')",
            name="ledger_account",
        ),
        CheckConstraint(
            "(instrument_id is null) or ledger_account in ('securities', 'dividends', 'realised_gains', 'commissions')",
            name="instrument",
        ),
        Index("ix_journal_lines_instrument_id", "instrument_id"),
    )

    entry_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("journal_entries.entry_id"), primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    ledger_account: Mapped[str] = mapped_column(String(16))
    amount_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instruments.instrument_id"))
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
