"""First in, first out: hand-worked and for any lots."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IntegrityBroken
from trading.lots import close_fifo

D = Decimal


@dataclass(frozen=True)
class Shares:
    lot_id: int
    remaining: Decimal
    remaining_cost_usd: Decimal


class TestCloseFifo:
    def test_irs_publication_550_order(self) -> None:
        """Shares sold are the first ones bought where none are named (IRS Publication 550, "Identification")."""
        lots = [Shares(1, D(100), D("1000.00")), Shares(2, D(50), D("750.00"))]
        closings = close_fifo(lots, quantity=D(120), proceeds_usd=D("2400.00"))
        assert [(c.lot_id, c.quantity, c.cost_usd, c.proceeds_usd, c.gain_usd) for c in closings] == [
            (1, D(100), D("1000.00"), D("2000.00"), D("1000.00")),
            (2, D(20), D("300.00"), D("400.00"), D("100.00")),
        ]
        assert (closings[1].remaining, closings[1].remaining_cost_usd) == (D(30), D("450.00"))

    def test_a_third_of_a_cent_is_not_lost(self) -> None:
        first = close_fifo([Shares(1, D(3), D("10.00"))], quantity=D(1), proceeds_usd=D("5.00"))[0]
        second = close_fifo([Shares(1, D(2), first.remaining_cost_usd)], quantity=D(2), proceeds_usd=D("5.00"))[0]
        assert first.cost_usd == D("3.33")
        assert first.cost_usd + second.cost_usd == D("10.00")

    def test_refuses_to_sell_what_is_not_there(self) -> None:
        with pytest.raises(IntegrityBroken, match="sale of 11 shares meets open lots of 10"):
            close_fifo([Shares(1, D(10), D("10.00"))], quantity=D(11), proceeds_usd=D("5.00"))

    @given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 10**8)), min_size=1, max_size=8), st.data())
    def test_shares_cost_and_proceeds_are_conserved(self, made: list[tuple[int, int]], data: st.DataObject) -> None:
        lots = [Shares(n, D(quantity), D(cents) / 100) for n, (quantity, cents) in enumerate(made)]
        held = sum((lot.remaining for lot in lots), D(0))
        quantity = D(data.draw(st.integers(1, int(held))))
        proceeds = D(data.draw(st.integers(0, 10**9))) / 100
        closings = close_fifo(lots, quantity=quantity, proceeds_usd=proceeds)
        assert sum((c.quantity for c in closings), D(0)) == quantity
        assert sum((c.proceeds_usd for c in closings), D(0)) == proceeds
        assert [c.lot_id for c in closings] == list(range(len(closings)))
        for closing, lot in zip(closings, lots, strict=False):
            assert closing.cost_usd + closing.remaining_cost_usd == lot.remaining_cost_usd
            assert closing.quantity + closing.remaining == lot.remaining
            assert closing.remaining_cost_usd >= 0
            assert closing.remaining == 0 or closing is closings[-1]
            assert (closing.remaining > 0) or closing.remaining_cost_usd == 0
