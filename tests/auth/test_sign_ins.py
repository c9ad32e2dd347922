"""Refresh tokens: one chain a sign-in, honest repeats survive, a stolen token ends it for both."""

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from auth.audit import read_trail
from auth.sign_ins import (
    GRACE,
    REFRESH_LASTS,
    SIGN_IN_LASTS,
    Place,
    Stolen,
    Tokens,
    begin_sign_in,
    end_all_sign_ins,
    rotate,
)
from auth.tokens import read_access_token
from core.clock import fixed_clock
from core.errors import NotSignedIn
from database.queries.users import add_user, enter
from database.session import Session
from database.tables.users import User
from tests.conftest import NOW

PLACE = Place(address="192.0.2.10", user_agent="Mozilla/5.0")


@pytest.fixture
def ada(session: Session) -> User:
    return add_user(session, User(email="ada@firm.example", name="Ada", role="advisor", epoch=1))


def refreshed(session: Session, token: str) -> Tokens:
    made = rotate(session, token, check=lambda sign_in_id: None)
    assert isinstance(made, Tokens)
    return made


def stands(session: Session, tokens: Tokens) -> bool:
    """Whether the access token would still let its bearer in."""
    actor = read_access_token(tokens.access_token, via="bearer", at_any_age=True)
    return (
        enter(
            session,
            user_id=actor.user_id,
            epoch=actor.epoch,
            sign_in_id=actor.sign_in_id,
            api_key_id=None,
            sees="assigned",
            on=NOW.date(),
        )
        is not None
    )


class TestRotate:
    def test_makes_the_next_pair_of_the_same_sign_in(self, session: Session, ada: User) -> None:
        first = begin_sign_in(session, ada, PLACE)
        second = refreshed(session, first.refresh_token)
        assert second.refresh_token != first.refresh_token
        assert second.sign_in_id == first.sign_in_id
        assert stands(session, second)

    def test_a_repeat_within_the_grace_gets_the_chains_end(self, session: Session, ada: User) -> None:
        first = begin_sign_in(session, ada, PLACE)
        second = refreshed(session, first.refresh_token)
        assert refreshed(session, first.refresh_token).refresh_token == second.refresh_token
        third = refreshed(session, second.refresh_token)
        with fixed_clock(NOW + GRACE):
            late = refreshed(session, first.refresh_token)
            assert late.refresh_token == third.refresh_token, "a slow tab is not handed a token that is used up"

    def test_a_later_repeat_ends_the_sign_in_at_once(self, session: Session, ada: User) -> None:
        first = begin_sign_in(session, ada, PLACE)
        second = refreshed(session, first.refresh_token)
        with fixed_clock(NOW + GRACE + timedelta(seconds=1)):
            assert isinstance(rotate(session, first.refresh_token, check=lambda sign_in_id: None), Stolen)
            assert not stands(session, second)
            with pytest.raises(NotSignedIn, match="has ended"):
                refreshed(session, second.refresh_token)
        (row,) = read_trail(session, subject="user", subject_id=ada.user_id)
        assert (row.action, row.after) == (
            "revoke sign-in",
            {"reason": "refresh token used twice", "sign_in": str(first.sign_in_id)},
        )

    def test_no_token_outlives_its_time(self, session: Session, ada: User) -> None:
        tokens = begin_sign_in(session, ada, PLACE)
        with fixed_clock(NOW + REFRESH_LASTS), pytest.raises(NotSignedIn, match="lasted its time"):
            refreshed(session, tokens.refresh_token)
        moment = NOW
        while moment + timedelta(hours=11) < NOW + SIGN_IN_LASTS:
            moment += timedelta(hours=11)
            with fixed_clock(moment):
                tokens = refreshed(session, tokens.refresh_token)
        assert tokens.refresh_expires_at == NOW + SIGN_IN_LASTS
        with fixed_clock(NOW + SIGN_IN_LASTS), pytest.raises(NotSignedIn, match="lasted its time"):
            refreshed(session, tokens.refresh_token)

    def test_the_check_comes_before_any_change(self, session: Session, ada: User) -> None:
        tokens = begin_sign_in(session, ada, PLACE)

        def refuse(sign_in_id: object) -> None:
            raise PermissionError

        with pytest.raises(PermissionError):
            rotate(session, tokens.refresh_token, check=refuse)
        assert refreshed(session, tokens.refresh_token)
        assert session.scalar(text("select count(*) from refresh_tokens where used_at is not null")) == 1

    def test_tokens_that_are_past_their_date_are_let_go(self, session: Session, ada: User) -> None:
        tokens = begin_sign_in(session, ada, PLACE)
        for hours in (6, 11, 13, 18, 23):
            with fixed_clock(NOW + timedelta(hours=hours)):
                tokens = refreshed(session, tokens.refresh_token)
        assert session.scalar(text("select count(*) from refresh_tokens")) == 3 + 1

    def test_nothing_readable_is_kept(self, session: Session, ada: User) -> None:
        tokens = begin_sign_in(session, ada, PLACE)
        tokens = refreshed(session, tokens.refresh_token)
        kept = str(session.execute(text("select * from refresh_tokens")).all())
        assert tokens.refresh_token not in kept

    @pytest.mark.parametrize("token", ["", "x", "0" * 200])
    def test_an_unknown_token_is_refused(self, session: Session, token: str) -> None:
        with pytest.raises(NotSignedIn, match="unknown"):
            refreshed(session, token)

    def test_nobody_refreshes_who_was_disabled(self, session: Session, ada: User) -> None:
        tokens = begin_sign_in(session, ada, PLACE)
        ada.disabled_at = NOW
        session.flush()
        with pytest.raises(NotSignedIn):
            refreshed(session, tokens.refresh_token)


class TestEndAll:
    def test_kills_access_and_refresh_tokens_of_every_sign_in(self, session: Session, ada: User) -> None:
        made = [begin_sign_in(session, ada, PLACE) for _ in range(3)]
        assert end_all_sign_ins(session, ada, reason="test") == 3
        session.flush()
        for tokens in made:
            assert not stands(session, tokens)
            with pytest.raises(NotSignedIn):
                refreshed(session, tokens.refresh_token)

    def test_a_place_that_is_said_oddly_is_kept_as_far_as_it_prints(self, session: Session, ada: User) -> None:
        begin_sign_in(session, ada, Place(address=None, user_agent="Mozi\x00lla\n" + "x" * 500))
        kept = session.scalar(text("select user_agent from sign_ins"))
        assert kept == "Mozilla" + "x" * 193


class Chain(RuleBasedStateMachine):
    """The owner of a sign-in and a thief refresh as they like while time goes by; lists say who must get what."""

    session: Session
    user_id: int

    @initialize()
    def begin(self) -> None:
        self.savepoint = self.session.begin_nested()
        self.moment: datetime = NOW
        user = self.session.get(User, self.user_id)
        assert user is not None
        with fixed_clock(self.moment):
            first = begin_sign_in(self.session, user, PLACE)
        self.tokens = [first.refresh_token]
        self.issued_at = [NOW]
        self.used_at: list[datetime] = []
        self.held: dict[str, int | None] = {"owner": 0, "thief": None}
        self.ended = False

    @rule(seconds=st.sampled_from([1, 15, 30, 31, 45, 600, 5 * 3600]))
    def wait(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)

    @precondition(lambda self: self.held["owner"] is not None)
    @rule()
    def steal(self) -> None:
        self.held["thief"] = self.held["owner"]

    @rule(who=st.sampled_from(["owner", "thief"]), times=st.integers(1, 3))
    def refresh(self, who: str, times: int) -> None:
        held = self.held[who]
        if held is None:
            return
        answers = {self._refresh(held) for _ in range(times)}
        assert len(answers) == 1, "parallel repeats are answered alike"
        self.held[who] = answers.pop()

    def _refresh(self, held: int) -> int | None:
        """What the platform answers must be what the model says: the chain's end, or nothing."""
        too_late = self.issued_at[held] + REFRESH_LASTS <= self.moment or self.moment >= NOW + SIGN_IN_LASTS
        used = held < len(self.used_at)
        with fixed_clock(self.moment):
            try:
                made = rotate(self.session, self.tokens[held], check=lambda sign_in_id: None)
            except NotSignedIn:
                assert self.ended or too_late
                return held
        assert not self.ended
        assert not too_late
        if used and self.moment - self.used_at[held] > GRACE:
            assert isinstance(made, Stolen)
            self.ended = True
            return held
        assert isinstance(made, Tokens)
        if not used:
            self.used_at.append(self.moment)
            self.tokens.append(made.refresh_token)
            self.issued_at.append(self.moment)
        assert made.refresh_token == self.tokens[-1]
        return len(self.tokens) - 1

    @invariant()
    def the_owner_alone_never_ends_it(self) -> None:
        if getattr(self, "held", None) and self.held["thief"] is None:
            assert not self.ended

    @invariant()
    def one_token_at_a_time_is_unused(self) -> None:
        if hasattr(self, "savepoint"):
            unused = self.session.scalar(text("select count(*) from refresh_tokens where used_at is null"))
            assert unused == 1

    def teardown(self) -> None:
        if hasattr(self, "savepoint"):
            self.session.expunge_all()
            self.savepoint.rollback()


class TestChain:
    def test_thief_and_owner(self, session: Session, ada: User) -> None:
        played = type("Played", (Chain,), {"session": session, "user_id": ada.user_id})
        run_state_machine_as_test(played, settings=settings(max_examples=60, stateful_step_count=30))
