"""Lock-out: guessing gets slower and slower, and nobody is locked out of the desk where they sit."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.lockout import (
    FREE_ACCOUNT,
    FREE_ADDRESS,
    FREE_PAIR,
    WAIT_MAX,
    admit,
    does_not_count,
    forget_failures,
    locked_until,
    network_of,
    wait_after,
    went_well,
)
from core.clock import fixed_clock, now
from core.errors import TooMany
from database.session import Session
from tests.conftest import NOW

ADA = "ada@firm.example"
DESK, CAFE = "192.0.2.10", "198.51.100.20"


def guess(session: Session, *, email: str = ADA, address: str = CAFE) -> int | None:
    """One failed try; the seconds to wait where it was not let in."""
    try:
        admit(session, email=email, address=address)
    except TooMany as refused:
        return refused.retry_after_s
    return None


def sign_in(session: Session, *, address: str = DESK) -> None:
    went_well(session, admit(session, email=ADA, address=address))


class TestAdmit:
    def test_free_tries_then_waits_that_double(self, session: Session) -> None:
        assert [guess(session) for _ in range(FREE_PAIR)] == [None] * FREE_PAIR
        waits, moment = [], NOW
        for _ in range(14):
            with fixed_clock(moment):
                wait_s = guess(session)
            assert wait_s is not None
            waits.append(wait_s)
            moment += timedelta(seconds=wait_s)
            with fixed_clock(moment):
                assert guess(session) is None, "the wait is as long as it says"
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]

    def test_what_is_refused_does_not_lengthen_the_wait(self, session: Session) -> None:
        for _ in range(FREE_PAIR):
            guess(session)
        assert {guess(session) for _ in range(50)} == {1}

    def test_unknown_accounts_are_told_the_same(self, session: Session) -> None:
        for _ in range(FREE_PAIR):
            guess(session, email="nobody@firm.example")
        with pytest.raises(TooMany, match=r"^too many tries to sign in: wait 1 seconds$"):
            admit(session, email=" Nobody@firm.example", address=CAFE)

    def test_a_day_of_guessing_from_one_place_is_a_hundred_tries(self, session: Session) -> None:
        tries, moment, end = 0, NOW, NOW + timedelta(days=1)
        while moment < end:
            with fixed_clock(moment):
                wait_s = guess(session)
            tries += wait_s is None
            moment += timedelta(seconds=wait_s or 0)
        assert tries <= 112

    def test_success_forgives_the_place_it_came_from(self, session: Session) -> None:
        for _ in range(FREE_PAIR - 1):
            guess(session, address=DESK)
        sign_in(session)
        assert [guess(session, address=DESK) for _ in range(FREE_PAIR)] == [None] * FREE_PAIR

    def test_what_neither_failed_nor_succeeded_leaves_no_trace(self, session: Session) -> None:
        for _ in range(20):
            does_not_count(session, admit(session, email=ADA, address=CAFE))
        assert guess(session) is None


class TestDistributedAttack:
    def test_shuts_strangers_out_and_leaves_the_desk_open(self, session: Session) -> None:
        sign_in(session)
        for number in range(FREE_ACCOUNT):
            assert guess(session, address=f"203.0.113.{number}") is None
        assert guess(session, address=CAFE) == 1
        assert locked_until(session, email=ADA) == NOW + timedelta(seconds=1)
        for _ in range(3):
            sign_in(session)

    def test_from_one_address_at_many_accounts(self, session: Session) -> None:
        sign_in(session, address=CAFE)
        for number in range(FREE_ADDRESS):
            assert guess(session, email=f"victim{number}@firm.example") is None
        assert guess(session, email="one-more@firm.example") == 1
        sign_in(session, address=CAFE)

    def test_the_desk_is_forgotten_after_a_month(self, session: Session) -> None:
        sign_in(session)
        with fixed_clock(NOW + timedelta(days=31)):
            for number in range(FREE_ACCOUNT):
                guess(session, address=f"203.0.113.{number}")
            assert guess(session, address=DESK) == 1


class TestForgetFailures:
    def test_unlocks_and_says_what_it_forgot(self, session: Session) -> None:
        for number in range(FREE_ACCOUNT):
            guess(session, address=f"203.0.113.{number % 4}")
        assert guess(session) is not None
        assert forget_failures(session, email="ADA@firm.example") == (FREE_ACCOUNT, 4)
        assert locked_until(session, email=ADA) is None
        assert guess(session) is None


class TestWaitAfter:
    @given(st.integers(0, 10**9), st.integers(1, 50))
    def test_grows_and_ends(self, failures: int, free: int) -> None:
        wait = wait_after(failures, free)
        assert (wait == timedelta(0)) == (failures < free)
        assert wait <= wait_after(failures + 1, free) <= WAIT_MAX

    def test_steps(self) -> None:
        waits = [wait_after(count, 5).total_seconds() for count in range(5, 18)]
        assert all(later in (min(2 * earlier, 900),) for earlier, later in pairwise(waits))
        assert now() == NOW


class TestNetworkOf:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.10", "192.0.2.10"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
            ("::ffff:192.0.2.10", "192.0.2.10"),
            ("testclient", "testclient"),
            ("x" * 100, "x" * 64),
            (None, "unknown"),
        ],
    )
    def test_is_what_one_customer_is_given(self, address: str | None, network: str) -> None:
        assert network_of(address) == network
