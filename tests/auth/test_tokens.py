"""Access tokens: read without a look into the database, and refused whatever is wrong with them."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import tokens
from auth.tokens import ACCESS_LASTS, csrf_token, is_csrf_token, make_access_token, read_access_token
from core.clock import fixed_clock
from core.config import get_settings
from core.errors import NotSignedIn
from tests.conftest import NOW

OLD, NEW = "old-" + "o" * 40, "new-" + "n" * 40
UseSecrets = Callable[[str], None]


@pytest.fixture(autouse=True)
def use_secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseSecrets]:
    """Sets ACIS_TOKEN_SECRETS; the test begins with NEW."""

    def use(value: str) -> None:
        monkeypatch.setenv("ACIS_TOKEN_SECRETS", value)
        get_settings.cache_clear()
        tokens._secrets.cache_clear()

    use(NEW)
    yield use
    monkeypatch.undo()
    get_settings.cache_clear()
    tokens._secrets.cache_clear()


def token(sign_in_id: UUID | None = None) -> str:
    return make_access_token(user_id=7, email="ada@firm.example", role="advisor", epoch=3, sign_in_id=sign_in_id)


def forged(
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    key: bytes | None = NEW.encode(),
    digest: str = "sha256",
) -> str:
    """A token with another header or other claims (`...` leaves one out), signed with `key` or not at all."""
    made = token()
    body = jwt.decode(made, options={"verify_signature": False}) | (claims or {})
    parts = (
        jwt.get_unverified_header(made) | (header or {}),
        {name: value for name, value in body.items() if value is not ...},
    )
    content = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{content}.{'' if key is None else encoded(hmac.digest(key, content.encode(), digest))}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class TestReadAccessToken:
    def test_says_who_it_was_made_for(self) -> None:
        sign_in_id = uuid4()
        actor = read_access_token(token(sign_in_id), via="bearer")
        assert (actor.user_id, actor.email, actor.role, actor.epoch) == (7, "ada@firm.example", "advisor", 3)
        assert (actor.sign_in_id, actor.via, actor.must_change_password) == (sign_in_id, "bearer", False)
        assert actor.may("clients.read")
        assert not actor.may("users.read")

    def test_what_is_forged_here_is_read_where_nothing_is_wrong(self) -> None:
        assert read_access_token(forged(), via="bearer").user_id == 7

    def test_lasts_ten_minutes_and_not_a_second_more(self) -> None:
        made = token()
        with fixed_clock(NOW + ACCESS_LASTS - timedelta(seconds=1)):
            read_access_token(made, via="bearer")
        with fixed_clock(NOW + ACCESS_LASTS):
            with pytest.raises(NotSignedIn, match="expired"):
                read_access_token(made, via="bearer")
            assert read_access_token(made, via="bearer", at_any_age=True).user_id == 7

    @pytest.mark.parametrize(
        "bad",
        [
            lambda: forged(header={"alg": "none"}, key=None),
            lambda: forged(header={"alg": "None"}, key=None),
            lambda: forged(key=None),
            lambda: forged(header={"alg": "HS512"}, digest="sha512"),
            lambda: forged(header={"alg": "RS256"}),
            lambda: forged(claims={"role": "admin"}, key=b"x" * 40),
            lambda: forged(claims={"iss": "somebody else"}),
            lambda: forged(claims={"exp": ...}),
            lambda: forged(claims={"exp": "tomorrow"}),
            lambda: forged(claims={"sub": "seven"}),
            lambda: forged(claims={"sid": "not-a-uuid"}),
            lambda: forged(claims={"role": ...}),
            lambda: forged(header={"kid": "../../etc/passwd"}),
            lambda: forged(header={"kid": ["a"]}),
            lambda: forged(header={"crit": ["b64"], "b64": False}),
            lambda: token()[:-2],
            lambda: "",
            lambda: "a.b.c",
        ],
    )
    def test_refuses_what_is_not_ours(self, bad: Callable[[], str]) -> None:
        with pytest.raises(NotSignedIn):
            read_access_token(bad(), via="bearer")

    @given(st.text(max_size=300))
    def test_any_text_is_refused_in_words(self, text: str) -> None:
        with pytest.raises(NotSignedIn):
            read_access_token(text, via="cookie")

    def test_a_secret_may_be_changed_without_a_pause_and_an_old_one_stops(self, use_secrets: UseSecrets) -> None:
        use_secrets(OLD)
        made = token()
        use_secrets(f"{NEW},{OLD}")
        assert read_access_token(made, via="bearer").user_id == 7
        use_secrets(NEW)
        with pytest.raises(NotSignedIn, match="key that is not in use"):
            read_access_token(made, via="bearer")


class TestCsrfToken:
    def test_belongs_to_one_sign_in(self, use_secrets: UseSecrets) -> None:
        mine, another = uuid4(), uuid4()
        made = csrf_token(mine)
        assert is_csrf_token(made, mine)
        assert not is_csrf_token(made, another)
        assert not is_csrf_token("ä" + made[1:], mine)
        use_secrets(f"{OLD},{NEW}")
        assert is_csrf_token(made, mine)
