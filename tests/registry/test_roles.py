"""Nobody serves unjudged: whatever is called in whatever order, a champion has a pass or two people behind it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.audit import read_trail
from core.errors import InputError, Refused
from database.queries.roles import role_history
from database.queries.verdicts import newest_verdict
from database.session import Session, transaction
from database.tables.models import ModelVersion
from database.tables.users import User
from registry.roles import (
    challengers,
    champions,
    confirm_override,
    hold,
    promote,
    register,
    release,
    request_override,
    require_newest,
    retire,
    rollback,
    standing_of,
)
from tests.factories.models import create_model
from tests.factories.roles import create_verdict

BEGIN = date(2017, 1, 1)
JUNE = date(2017, 6, 1)
WHY = "the benchmark of this mandate changed last month"
NAME = "screener-momentum_largecap"


def staff(session: Session) -> None:
    """Two who may override, one who may not."""
    for name, role in (("ada", "admin"), ("ben", "analyst"), ("cy", "advisor")):
        session.add(User(email=f"{name}@firm.example", name=name, role=role))
    session.flush()


def champion(session: Session, on: date = JUNE) -> int | None:
    model = champions(session, kind="screener", as_of=on).get("momentum_largecap")
    return model.version if model else None


def challenger(session: Session, on: date = JUNE) -> int | None:
    model = challengers(session, kind="screener", as_of=on).get("momentum_largecap")
    return model.version if model else None


def crowned(session: Session, **fields: Any) -> ModelVersion:
    """A version that passed and was promoted on the first day of its service."""
    model = create_model(session, **fields)
    create_verdict(session, model)
    promote(session, model=model, effective_on=model.valid_from_on, actor="gate")
    return model


class TestRegister:
    def test_unjudged_is_refused(self, session: Session) -> None:
        with pytest.raises(Refused, match=r"has not judged .* nobody serves unjudged"):
            register(session, model=create_model(session), effective_on=JUNE, actor="gate")

    def test_failed_is_refused_with_the_reason(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, verdict="fail", reason="a label knew the future")
        with pytest.raises(Refused, match="a label knew the future"):
            register(session, model=model, effective_on=JUNE, actor="gate")

    def test_not_proven_runs_in_shadow_and_reaches_no_client(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, verdict="not_proven")
        assert register(session, model=model, effective_on=JUNE, actor="gate") is not None
        assert (challenger(session), champion(session)) == (1, None)
        assert challenger(session, JUNE - timedelta(days=1)) is None

    def test_a_hard_check_that_nobody_could_answer_is_no_pass(self, session: Session) -> None:
        model = create_model(session)
        unanswered = {"name": "leaks", "is_hard": True, "status": "not_proven"}
        create_verdict(session, model, verdict="not_proven", reason="no leak audit", checks=[unanswered])
        with pytest.raises(Refused, match="no leak audit"):
            register(session, model=model, effective_on=JUNE, actor="gate")

    def test_twice_is_once(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, verdict="not_proven")
        register(session, model=model, effective_on=JUNE, actor="gate")
        assert register(session, model=model, effective_on=JUNE, actor="gate") is None

    def test_a_verdict_of_a_later_day_does_not_count(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, as_of=JUNE + timedelta(days=1))
        with pytest.raises(Refused, match="has not judged"):
            register(session, model=model, effective_on=JUNE, actor="gate")

    def test_retired_runs_no_more(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, verdict="not_proven")
        register(session, model=model, effective_on=JUNE, actor="gate")
        retire(session, model=model, effective_on=JUNE, actor="gate", reason="newer one trained")
        assert challenger(session) is None
        with pytest.raises(Refused, match="not the challenger"):
            retire(session, model=model, effective_on=JUNE, actor="gate", reason="again")


class TestPromote:
    def test_only_a_pass_makes_a_champion(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model, verdict="not_proven", reason="too short a record")
        with pytest.raises(Refused, match="not proven as of 2017-01-01: too short a record; two people may override"):
            promote(session, model=model, effective_on=JUNE, actor="gate")
        create_verdict(session, model, as_of=JUNE)
        assert promote(session, model=model, effective_on=JUNE, actor="gate") is not None
        assert champion(session) == 1
        assert promote(session, model=model, effective_on=JUNE, actor="gate") is None

    def test_a_newer_verdict_takes_the_pass_back(self, session: Session) -> None:
        model = create_model(session)
        create_verdict(session, model)
        create_verdict(session, model, verdict="fail", as_of=JUNE)
        with pytest.raises(Refused, match="says fail as of 2017-06-01"):
            promote(session, model=model, effective_on=JUNE, actor="gate")

    def test_another_versions_pass_is_not_its_own(self, session: Session) -> None:
        create_verdict(session, create_model(session))
        with pytest.raises(Refused, match="version 2 by 2017-06-01: nobody serves unjudged"):
            promote(session, model=create_model(session, version=2), effective_on=JUNE, actor="gate")

    @pytest.mark.parametrize("day", [date(2016, 12, 31), date(2018, 1, 1)])
    def test_nobody_serves_outside_the_dates_of_its_fold(self, session: Session, day: date) -> None:
        model = create_model(session)
        create_verdict(session, model, as_of=date(2016, 1, 1))
        with pytest.raises(InputError, match="may serve from 2017-01-01 up to, not including, 2018-01-01"):
            promote(session, model=model, effective_on=day, actor="gate")

    def test_a_champions_fold_ends_with_its_year(self, session: Session) -> None:
        crowned(session)
        assert champion(session, date(2017, 12, 31)) == 1
        assert champion(session, date(2018, 1, 1)) is None


class TestOverride:
    def test_two_people_with_a_reason_override_the_gate(self, session: Session) -> None:
        staff(session)
        model = create_model(session)
        verdict = create_verdict(session, model, verdict="not_proven")
        request_override(session, model=model, effective_on=JUNE, by="ADA@firm.example ", reason=WHY)
        assert champion(session) is None
        confirm_override(session, model=model, by="ben@firm.example")
        assert champion(session) == 1
        newest = role_history(session, name=model.name)[0]
        assert (newest.actor, newest.second_actor, newest.reason) == ("ada@firm.example", "ben@firm.example", WHY)
        told = read_trail(session, subject="model_role", subject_id=model.name)
        assert [(row.actor, row.action) for row in told] == [
            ("ada@firm.example", "request_override"),
            ("ben@firm.example", "override"),
        ]
        assert told[-1].before is not None
        assert told[-1].after is not None
        assert (told[-1].before["champion"], told[-1].after["verdict_id"]) == (None, verdict.verdict_id)
        assert told[-1].after["asked_by"] == "ada@firm.example"

    def test_one_person_twice_is_one_person(self, session: Session) -> None:
        staff(session)
        model = create_model(session)
        request_override(session, model=model, effective_on=JUNE, by="ada@firm.example", reason=WHY)
        with pytest.raises(Refused, match="a second person must confirm"):
            confirm_override(session, model=model, by="Ada@Firm.Example")
        assert champion(session) is None

    @pytest.mark.parametrize("email", ["cy@firm.example", "nobody@firm.example", ""])
    def test_who_may_not_override_neither_asks_nor_confirms(self, session: Session, email: str) -> None:
        staff(session)
        model = create_model(session)
        with pytest.raises(Refused, match="may not override the gate"):
            request_override(session, model=model, effective_on=JUNE, by=email, reason=WHY)
        request_override(session, model=model, effective_on=JUNE, by="ada@firm.example", reason=WHY)
        with pytest.raises(Refused, match="may not override the gate"):
            confirm_override(session, model=model, by=email)

    def test_a_reason_must_say_something(self, session: Session) -> None:
        staff(session)
        with pytest.raises(InputError, match="reason is 'because': say in 20 letters or more"):
            request_override(
                session, model=create_model(session), effective_on=JUNE, by="ada@firm.example", reason="because"
            )

    def test_nothing_to_confirm_is_refused(self, session: Session) -> None:
        staff(session)
        model, other = create_model(session), create_model(session, version=2)
        request_override(session, model=other, effective_on=JUNE, by="ada@firm.example", reason=WHY)
        with pytest.raises(Refused, match=r"nobody has asked to override the gate for .* version 1"):
            confirm_override(session, model=model, by="ben@firm.example")

    def test_a_request_is_confirmed_once(self, session: Session) -> None:
        staff(session)
        model = create_model(session)
        request_override(session, model=model, effective_on=JUNE, by="ada@firm.example", reason=WHY)
        confirm_override(session, model=model, by="ben@firm.example")
        rollback(session, name=model.name, effective_on=JUNE, actor="ada@firm.example", reason="it lost")
        with pytest.raises(Refused, match="nobody has asked"):
            confirm_override(session, model=model, by="ben@firm.example")

    def test_a_verdict_since_the_request_must_be_looked_at(self, session: Session) -> None:
        staff(session)
        model = create_model(session)
        request_override(session, model=model, effective_on=JUNE, by="ada@firm.example", reason=WHY)
        create_verdict(session, model, verdict="fail", reason="it leaks")
        with pytest.raises(Refused, match=r"judged .* anew since"):
            confirm_override(session, model=model, by="ben@firm.example")

    def test_people_do_not_write_history(self, session: Session) -> None:
        staff(session)
        model = crowned(session)
        hold(session, name=model.name, effective_on=JUNE, actor="drift", reason="inputs drifted")
        for change in (
            lambda: request_override(session, model=model, effective_on=BEGIN, by="ada@firm.example", reason=WHY),
            lambda: require_newest(session, name=model.name, effective_on=BEGIN),
        ):
            with pytest.raises(Refused, match=r"last changed as of 2017-06-01: .* cannot date back to 2017-01-01"):
                change()


class TestRollback:
    def test_goes_back_to_the_champion_before(self, session: Session) -> None:
        crowned(session)
        second = create_model(session, version=2)
        create_verdict(session, second)
        promote(session, model=second, effective_on=JUNE, actor="gate")
        assert champion(session) == 2
        rollback(session, name=NAME, effective_on=JUNE, actor="shadow", reason="behind the plain rule")
        assert champion(session) == 1
        assert standing_of(session, name=NAME, as_of=JUNE).removed == {second.model_version_id}
        rollback(session, name=NAME, effective_on=JUNE, actor="shadow", reason="behind as well")
        assert champion(session) is None
        with pytest.raises(Refused, match="has no champion on 2017-06-01"):
            rollback(session, name=NAME, effective_on=JUNE, actor="shadow", reason="again")

    def test_goes_to_nobody_where_it_is_told_to(self, session: Session) -> None:
        crowned(session)
        crowned(session, version=2)
        rollback(session, name=NAME, effective_on=JUNE, actor="ada", reason="both are off", to_nobody=True)
        assert champion(session) is None

    def test_never_to_one_that_has_failed_since_or_whose_year_is_over(self, session: Session) -> None:
        crowned(session, year=2016)
        first = crowned(session, version=2)
        crowned(session, version=3)
        create_verdict(session, first, verdict="fail", as_of=JUNE)
        rollback(session, name=NAME, effective_on=JUNE, actor="shadow", reason="behind")
        assert champion(session) is None

    def test_takes_out_one_on_hold(self, session: Session) -> None:
        crowned(session)
        hold(session, name=NAME, effective_on=BEGIN, actor="drift", reason="inputs drifted")
        rollback(session, name=NAME, effective_on=JUNE, actor="ada", reason="it will not come back")
        with pytest.raises(Refused, match="has no champion"):
            release(session, name=NAME, effective_on=JUNE, actor="ada", reason="try")


class TestHold:
    def test_nobody_serves_until_release(self, session: Session) -> None:
        crowned(session)
        hold(session, name=NAME, effective_on=JUNE, actor="drift", reason="inputs drifted")
        assert (champion(session, JUNE - timedelta(days=1)), champion(session)) == (1, None)
        with pytest.raises(Refused, match="on hold already"):
            hold(session, name=NAME, effective_on=JUNE, actor="drift", reason="again")
        release(session, name=NAME, effective_on=date(2017, 7, 3), actor="drift", reason="calm again")
        assert (champion(session, date(2017, 7, 2)), champion(session, date(2017, 7, 3))) == (None, 1)
        with pytest.raises(Refused, match="not on hold"):
            release(session, name=NAME, effective_on=date(2017, 7, 3), actor="drift", reason="again")

    def test_one_that_failed_meanwhile_stays_out(self, session: Session) -> None:
        model = crowned(session)
        hold(session, name=NAME, effective_on=JUNE, actor="drift", reason="inputs drifted")
        create_verdict(session, model, verdict="fail", as_of=JUNE, reason="it leaks")
        with pytest.raises(Refused, match="is not released: it leaks"):
            release(session, name=NAME, effective_on=JUNE, actor="ada", reason="calm again")


DAYS = [date(2017, 1, 1), date(2017, 3, 1), date(2017, 3, 2), date(2017, 12, 31), date(2018, 1, 1), date(2018, 5, 5)]
PEOPLE = ["ada@firm.example", "ben@firm.example", "Ben@firm.example", "cy@firm.example"]
_versions, _days = st.integers(0, 2), st.sampled_from(DAYS)
STEPS = st.one_of(
    st.tuples(st.just("judge"), _versions, _days, st.sampled_from(["pass", "pass", "not_proven", "fail"])),
    st.tuples(st.just("register"), _versions, _days),
    st.tuples(st.just("promote"), _versions, _days),
    st.tuples(st.just("request"), _versions, _days, st.sampled_from(PEOPLE)),
    st.tuples(st.just("confirm"), _versions, st.sampled_from(PEOPLE)),
    st.tuples(st.just("rollback"), _days, st.booleans()),
    st.tuples(st.just("hold"), _days),
    st.tuples(st.just("release"), _days),
)


def take(session: Session, models: list[ModelVersion], step: tuple[Any, ...]) -> None:
    """One call; a refusal is an answer and leaves nothing behind."""
    verb, *rest = step
    calls: dict[str, Callable[..., object]] = {
        "judge": lambda v, day, word: create_verdict(session, models[v], verdict=word, as_of=day),
        "register": lambda v, day: register(session, model=models[v], effective_on=day, actor="gate"),
        "promote": lambda v, day: promote(session, model=models[v], effective_on=day, actor="gate"),
        "request": lambda v, day, by: request_override(session, model=models[v], effective_on=day, by=by, reason=WHY),
        "confirm": lambda v, by: confirm_override(session, model=models[v], by=by),
        "rollback": lambda day, nobody: rollback(
            session, name=NAME, effective_on=day, actor="shadow", reason="behind", to_nobody=nobody
        ),
        "hold": lambda day: hold(session, name=NAME, effective_on=day, actor="drift", reason="drifted"),
        "release": lambda day: release(session, name=NAME, effective_on=day, actor="drift", reason="calm"),
    }
    try:
        with session.begin_nested():
            calls[verb](*rest)
    except (Refused, InputError):
        return


def entitled(session: Session, model: ModelVersion, on: date) -> bool:
    """The gate had passed the version by then, or two people had overridden it."""
    passed = any(
        (verdict := newest_verdict(session, model_version_id=model.model_version_id, as_of=day)) is not None
        and verdict.verdict == "pass"
        for day in DAYS
        if day <= on
    )
    overridden = any(
        row.action == "override"
        and row.model_version_id == model.model_version_id
        and row.effective_on <= on
        and row.second_actor is not None
        and row.second_actor.lower() != row.actor.lower()
        for row in role_history(session, name=NAME)
    )
    return passed or overridden


class TestWhateverTheOrder:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(STEPS, min_size=4, max_size=14))
    def test_a_champion_has_a_pass_or_two_people_behind_it(
        self, session: Session, steps: list[tuple[Any, ...]]
    ) -> None:
        example = session.begin_nested()
        staff(session)
        models = [create_model(session, version=n + 1, year=2017 + n // 2) for n in range(3)]
        written: list[int] = []
        for step in steps:
            take(session, models, step)
            history = [row.model_role_id for row in role_history(session, name=NAME)]
            assert history[len(history) - len(written) :] == written, "a change was edited or taken back"
            written = history
        assert len(read_trail(session, subject="model_role", subject_id=NAME)) == len(written)
        for day in DAYS:
            now = standing_of(session, name=NAME, as_of=day)
            serving = champions(session, kind="screener", as_of=day)
            valid = {model.model_version_id for model in models if model.valid_from_on <= day < model.valid_to_on}
            assert [model.model_version_id for model in serving.values()] == [
                key for key in (now.champion,) if key in valid
            ], "two readings of one history"
            for model in serving.values():
                assert entitled(session, model, day)
        example.rollback()


class TestAtOnce:
    def test_two_nights_make_one_champion(self, committed_database: str) -> None:
        with transaction() as session:
            model = create_model(session)
            create_verdict(session, model)

        def night() -> bool:
            with transaction() as session:
                return promote(session, model=model, effective_on=JUNE, actor="gate") is not None

        with ThreadPoolExecutor(4) as pool:
            promoted = [task.result() for task in [pool.submit(night) for _ in range(4)]]
        assert sum(promoted) == 1
        with transaction() as session:
            assert [row.action for row in role_history(session, name=model.name)] == ["promote"]
