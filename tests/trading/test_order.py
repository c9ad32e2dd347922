"""The order state table: what may follow what, and nothing else."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.errors import TransitionRefused
from database.tables.orders import STATES
from trading.order import AT_BROKER, MOVES, OPEN, STARTS, TERMINAL, client_order_id, require_move


class TestRequireMove:
    @pytest.mark.parametrize("move", sorted(MOVES))
    def test_permits_every_row_of_the_table(self, move: tuple[str, str]) -> None:
        assert require_move(*move) == MOVES[move]

    @pytest.mark.parametrize("move", sorted(set(product(STATES, STATES)) - set(MOVES)))
    def test_refuses_every_other_pair(self, move: tuple[str, str]) -> None:
        with pytest.raises(TransitionRefused, match=f"from '{move[0]}' to '{move[1]}'"):
            require_move(*move)


def reachable(start: str) -> set[str]:
    """Every state that an order starting in `start` can come to."""
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for before, after in MOVES:
            if before == here and after not in found:
                found.add(after)
                waiting.append(after)
    return found


class TestTable:
    def test_every_state_can_be_come_to(self) -> None:
        assert set().union(*(reachable(start) for start in STARTS)) == set(STATES)

    def test_every_open_state_can_end(self) -> None:
        for state in OPEN:
            assert reachable(state) & TERMINAL, state

    def test_filled_and_rejected_are_final(self) -> None:
        assert {start for start, _ in MOVES} & {"filled", "rejected"} == set()

    def test_nothing_is_sent_twice_without_proof(self) -> None:
        """Only a fresh approval, the proof that an order never arrived, or a call never made lead to a send."""
        assert {start for start, to in MOVES if to == "sending"} == {"intent"}
        assert {start for start, to in MOVES if to == "intent"} == {"planned", "unknown", "sending"}
        assert "before the broker was called" in MOVES["sending", "intent"]

    def test_open_and_terminal_are_apart_and_whole(self) -> None:
        assert not OPEN & TERMINAL
        assert set(STATES) - {"external"} == OPEN | TERMINAL
        assert AT_BROKER < OPEN


class OrderLife(RuleBasedStateMachine):
    """Any walk that the table permits keeps three promises."""

    @initialize(state=st.sampled_from(sorted(STARTS)))
    def start(self, state: str) -> None:
        self.path = [state]

    @precondition(lambda self: any(start == self.path[-1] for start, _ in MOVES))
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        state = data.draw(st.sampled_from(sorted(to for start, to in MOVES if start == self.path[-1])))
        require_move(self.path[-1], state)
        self.path.append(state)

    @rule(state=st.sampled_from(STATES))
    def stray(self, state: str) -> None:
        if (self.path[-1], state) not in MOVES:
            with pytest.raises(TransitionRefused):
                require_move(self.path[-1], state)

    @invariant()
    def nothing_reaches_the_broker_unapproved(self) -> None:
        if "sending" in self.path:
            assert "intent" in self.path[: self.path.index("sending")]

    @invariant()
    def nothing_leaves_a_fill(self) -> None:
        assert "filled" not in self.path[:-1]

    @invariant()
    def sends_are_apart_by_a_proof(self) -> None:
        sends = [place for place, state in enumerate(self.path) if state == "sending"]
        for earlier, later in pairwise(sends):
            assert "unknown" in self.path[earlier:later] or self.path[earlier + 1] == "intent"


TestOrderLife = OrderLife.TestCase


class TestClientOrderId:
    @given(st.tuples(*[st.integers(1, 10**6)] * 4), st.tuples(*[st.integers(1, 10**6)] * 4))
    def test_is_the_same_for_the_same_leg_only(
        self, one: tuple[int, int, int, int], other: tuple[int, int, int, int]
    ) -> None:
        def make(key: tuple[int, int, int, int]) -> str:
            return client_order_id(account_id=key[0], target_id=key[1], instrument_id=key[2], attempt=key[3])

        assert make(one) == make(one)
        assert (make(one) == make(other)) == (one == other)

    def test_fits_the_shortest_limit_of_the_brokers_in_sight(self) -> None:
        assert len(client_order_id(account_id=10**9, target_id=10**12, instrument_id=10**9)) <= 48

    def test_is_stable_over_releases(self) -> None:
        """SHA-256 of "1|2|3|1": an id that changed with a release would be sent again."""
        assert client_order_id(account_id=1, target_id=2, instrument_id=3) == "acis-" + _SHA256_OF_1_2_3_1[:32]


_SHA256_OF_1_2_3_1 = "6a79292489cdc63924e1c2a3d35952ceec40fd50bea154b684d7b33c3f9fba55"
