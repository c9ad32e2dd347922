"""Who takes the seats, and who may follow where a champion cannot be loaded."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.errors import ArtefactRefused, InputError, Refused
from database.queries.verdicts import newest_verdict
from database.tables.models import ModelVersion
from registry import roles
from registry.alerts import open_alerts
from registry.serving import Seat, load_first, seats
from tests.factories.models import create_model
from tests.factories.roles import create_role, create_verdict, crown

MOMENTUM = "momentum_largecap"
DAY = date(2017, 6, 30)
Change = Callable[[Session, ModelVersion, date], object]
CHANGES: tuple[Change, ...] = (
    lambda session, model, day: create_verdict(session, model, verdict="pass", as_of=day),
    lambda session, model, day: create_verdict(session, model, verdict="fail", as_of=day),
    lambda session, model, day: create_verdict(session, model, verdict="not_proven", as_of=day),
    lambda session, model, day: roles.register(session, model=model, effective_on=day, actor="gate"),
    lambda session, model, day: roles.promote(session, model=model, effective_on=day, actor="gate"),
    lambda session, model, day: roles.rollback(
        session, name=model.name, effective_on=day, actor="gate", reason="for a test"
    ),
    lambda session, model, day: roles.hold(session, name=model.name, effective_on=day, actor="ann", reason="a test"),
    lambda session, model, day: roles.release(session, name=model.name, effective_on=day, actor="ann", reason="a test"),
)


def seat(session: Session, *, kind: str = "screener", as_of: date = DAY) -> Seat:
    return seats(session, kind=kind, strategies=[MOMENTUM], as_of=as_of)[MOMENTUM]


class TestSeats:
    def test_an_empty_seat_says_why(self, session: Session) -> None:
        assert seat(session) == Seat(None, (), None, "no screener may serve on 2017-06-30")
        model = create_model(session)
        assert seat(session).reason == "no screener has been judged by 2017-06-30"
        create_verdict(session, model, verdict="fail", reason="it leaks")
        assert seat(session).reason == "no screener passed the gate; newest verdict, on version 1: fail: it leaks"

    def test_a_verdict_of_later_is_not_known(self, session: Session) -> None:
        create_verdict(session, create_model(session), as_of=date(2017, 7, 3))
        assert seat(session).reason == "no screener has been judged by 2017-06-30"

    def test_a_champion_says_by_whose_word(self, session: Session) -> None:
        model = crown(session, create_model(session, kind="allocator"))
        taken = seat(session, kind="allocator")
        assert taken.champion is model
        assert taken.reason.startswith(
            "allocator-momentum_largecap version 1 is champion since 2017-01-01 by the gate's"
        )

    def test_last_years_rollback_is_no_news_of_this_years_folds(self, session: Session) -> None:
        old = crown(session, create_model(session, year=2016))
        roles.rollback(session, name=old.name, effective_on=date(2016, 9, 1), actor="ann", reason="it fell behind")
        assert "was rolled back since 2016-09-01: it fell behind" in seat(session, as_of=date(2016, 12, 1)).reason
        create_model(session, year=2017, version=2)
        assert seat(session).reason == "no screener has been judged by 2017-06-30"

    def test_who_was_replaced_may_follow_and_who_was_taken_out_may_not(self, session: Session) -> None:
        first, second, third = (create_model(session, version=version) for version in (1, 2, 3))
        crown(session, first)
        crown(session, second, effective_on=date(2017, 2, 1))
        roles.rollback(session, name=second.name, effective_on=date(2017, 3, 1), actor="ann", reason="it fell behind")
        crown(session, third, effective_on=date(2017, 4, 1))
        assert seat(session).heirs == (third, first)
        create_verdict(session, first, verdict="fail", as_of=date(2017, 5, 1))
        assert seat(session).heirs == (third,)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_happens_the_heirs_are_judged_and_valid(self, session: Session, data: st.DataObject) -> None:
        with session.begin_nested() as savepoint:
            kind = data.draw(st.sampled_from(["screener", "allocator"]))
            models = [create_model(session, kind=kind, version=version) for version in (1, 2)]
            models.append(create_model(session, kind=kind, year=2018, version=3))
            days = [date(2017, 1, 1), date(2017, 4, 3), DAY, date(2018, 1, 1)]
            for _ in range(data.draw(st.integers(1, 12))):
                change = data.draw(st.sampled_from(CHANGES))
                with suppress(Refused, InputError):
                    change(session, data.draw(st.sampled_from(models)), data.draw(st.sampled_from(days)))
            as_of = data.draw(st.sampled_from(days))
            taken = seat(session, kind=kind, as_of=as_of)
            assert taken.champion is roles.champions(session, kind=kind, as_of=as_of).get(MOMENTUM)
            assert taken.challenger is roles.challengers(session, kind=kind, as_of=as_of).get(MOMENTUM)
            assert len(set(taken.heirs)) == len(taken.heirs)
            for model in taken.heirs:
                assert model.valid_from_on <= as_of < model.valid_to_on
                assert newest_verdict(session, model_version_id=model.model_version_id, as_of=as_of) is not None
            assert taken.reason
            savepoint.rollback()


class TestLoadFirst:
    def test_each_that_is_refused_raises_an_alert(self, session: Session) -> None:
        bad, good = create_model(session), create_model(session, version=2)

        def load(model: ModelVersion) -> str:
            if model is bad:
                raise ArtefactRefused("its signature is not ours")
            return "loaded"

        assert load_first(session, [bad, good], load) == (good, "loaded")
        (alert,) = open_alerts(session, subject=bad.name)
        assert alert.text.endswith("version 1 is refused at loading and does not serve: its signature is not ours")
        assert load_first(session, [bad], load) is None
        session.expire_all()
        assert open_alerts(session, subject=bad.name)[0].times == 2

    def test_other_errors_are_not_swallowed(self, session: Session) -> None:
        def load(model: ModelVersion) -> str:
            raise ValueError(model.name)

        with pytest.raises(ValueError, match="screener"):
            load_first(session, [create_model(session)], load)


def test_a_challenger_is_no_heir(session: Session) -> None:
    model = create_model(session)
    create_role(session, model, role="challenger")
    taken = seat(session)
    assert (taken.challenger, taken.heirs) == (model, ())
