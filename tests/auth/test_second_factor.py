"""The second factor: RFC 6238's own codes, each good once, and paper codes in its place."""

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlalchemy import text

from auth.audit import read_trail
from auth.second_factor import (
    RECOVERY_CODES,
    begin_second_factor,
    confirm_second_factor,
    remove_second_factor,
    renew_recovery_codes,
    reseal_second_factors,
    take_code,
    take_recovery_code,
)
from auth.vault import seal
from core.clock import fixed_clock
from core.errors import InputError, IntegrityBroken, Refused
from database.queries.users import add_user
from database.session import Session
from database.tables.users import User
from tests.conftest import NOW

STEP = timedelta(seconds=30)


@pytest.fixture
def ada(session: Session) -> User:
    return add_user(session, User(email="ada@firm.example", name="Ada", role="advisor"))


def enrol(session: Session, user: User) -> tuple[pyotp.TOTP, list[str]]:
    """Somebody whose second factor is on; the code of this half-minute is used up."""
    authenticator = pyotp.TOTP(begin_second_factor(session, user).secret)
    return authenticator, confirm_second_factor(session, user, code=authenticator.at(NOW))


class TestTakeCode:
    @pytest.mark.parametrize(
        ("moment_s", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
    )
    def test_agrees_with_the_standard(self, session: Session, ada: User, moment_s: int, code: str) -> None:
        """RFC 6238, appendix B, SHA-1, the last six of eight figures."""
        secret = base64.b32encode(b"12345678901234567890")
        ada.totp_secret = seal(secret, purpose="second factor", user_id=ada.user_id)
        with fixed_clock(datetime.fromtimestamp(moment_s, UTC)):
            assert take_code(session, ada, code)
            assert not take_code(session, ada, code), "once"

    def test_a_neighbouring_half_minute_counts_and_no_further(self, session: Session, ada: User) -> None:
        authenticator, _ = enrol(session, ada)
        later = NOW + timedelta(minutes=10)
        with fixed_clock(later):
            assert not take_code(session, ada, authenticator.at(later - 2 * STEP))
            assert not take_code(session, ada, authenticator.at(later + 2 * STEP))
            assert take_code(session, ada, authenticator.at(later - STEP))
            assert take_code(session, ada, authenticator.at(later))
            assert take_code(session, ada, authenticator.at(later + STEP))
            assert not take_code(session, ada, authenticator.at(later)), "an earlier one than the last used is used up"

    def test_spaces_do_not_matter_and_nothing_else_passes(self, session: Session, ada: User) -> None:
        authenticator, _ = enrol(session, ada)
        with fixed_clock(NOW + 4 * STEP):
            code = authenticator.at(NOW + 4 * STEP)
            for wrong in ("", "000000" if code != "000000" else "111111", code[:5], code + "0", "١٢٣٤٥٦"):
                assert not take_code(session, ada, wrong)
            assert take_code(session, ada, f"{code[:3]} {code[3:]}")

    def test_a_secret_moved_to_another_row_breaks_loudly(self, session: Session, ada: User) -> None:
        authenticator, _ = enrol(session, ada)
        eve = add_user(session, User(email="eve@firm.example", name="Eve", role="advisor", totp_secret=ada.totp_secret))
        with pytest.raises(IntegrityBroken, match="moved from another's row"):
            take_code(session, eve, authenticator.at(NOW + STEP))


class TestConfirm:
    def test_counts_from_the_first_code_on(self, session: Session, ada: User) -> None:
        enrolment = begin_second_factor(session, ada)
        assert ada.totp_confirmed_at is None
        parsed = pyotp.parse_uri(enrolment.uri)
        assert (parsed.name, parsed.issuer, parsed.secret) == ("ada@firm.example", "ACIS", enrolment.secret)
        with pytest.raises(InputError, match="check its clock"):
            confirm_second_factor(session, ada, code=pyotp.TOTP(enrolment.secret).at(NOW + timedelta(hours=1)))
        codes = confirm_second_factor(session, ada, code=pyotp.TOTP(enrolment.secret).at(NOW))
        assert ada.totp_confirmed_at == NOW
        assert len(set(codes)) == RECOVERY_CODES
        assert not take_code(session, ada, pyotp.TOTP(enrolment.secret).at(NOW)), "the code that confirmed is used up"

    def test_is_in_the_trail_and_the_secret_nowhere(self, session: Session, ada: User) -> None:
        authenticator, codes = enrol(session, ada)
        (row,) = read_trail(session, subject="second factor", subject_id=ada.user_id)
        assert (row.actor, row.action) == ("ada@firm.example", "switch on")
        kept = str(session.execute(text("select * from users")).all())
        kept += str(session.execute(text("select * from recovery_codes")).all())
        assert authenticator.secret not in kept
        assert not any(code in kept for code in codes)

    def test_is_refused_twice_and_before_it_began(self, session: Session, ada: User) -> None:
        with pytest.raises(Refused, match="begin with a new secret"):
            confirm_second_factor(session, ada, code="123456")
        enrol(session, ada)
        for work in (
            lambda: begin_second_factor(session, ada),
            lambda: confirm_second_factor(session, ada, code="123456"),
        ):
            with pytest.raises(Refused, match="the second factor is on"):
                work()


class TestRecoveryCodes:
    def test_each_counts_once_however_it_is_typed_and_for_its_owner_only(self, session: Session, ada: User) -> None:
        _, codes = enrol(session, ada)
        eve = add_user(session, User(email="eve@firm.example", name="Eve", role="advisor"))
        assert not take_recovery_code(session, eve, codes[0])
        assert take_recovery_code(session, ada, codes[0].lower().replace("-", " "))
        assert not take_recovery_code(session, ada, codes[0])
        assert take_recovery_code(session, ada, codes[1])

    def test_new_ones_replace_the_old(self, session: Session, ada: User) -> None:
        with pytest.raises(Refused, match="second factor is off"):
            renew_recovery_codes(session, ada)
        _, old = enrol(session, ada)
        new = renew_recovery_codes(session, ada)
        assert not take_recovery_code(session, ada, old[0])
        assert take_recovery_code(session, ada, new[0])


class TestRemove:
    def test_forgets_secret_and_codes(self, session: Session, ada: User) -> None:
        authenticator, codes = enrol(session, ada)
        remove_second_factor(session, ada, actor="ann@firm.example")
        assert (ada.totp_secret, ada.totp_confirmed_at) == (None, None)
        assert not take_recovery_code(session, ada, codes[0])
        assert not take_code(session, ada, authenticator.at(NOW + STEP))
        with pytest.raises(Refused, match="has no second factor"):
            remove_second_factor(session, ada, actor="ann@firm.example")


class TestReseal:
    def test_ends_a_change_of_key(self, session: Session, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        authenticator, _ = enrol(session, ada)
        assert reseal_second_factors(session) == 0
        before = ada.totp_secret
        monkeypatch.setattr("auth.second_factor.is_sealed_with_newest", lambda sealed: sealed != before)
        assert reseal_second_factors(session) == 1
        assert ada.totp_secret != before
        with fixed_clock(NOW + STEP):
            assert take_code(session, ada, authenticator.at(NOW + STEP))
