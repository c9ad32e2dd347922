"""Passwords: which are refused and why, how they are kept, and that nobody's costs as much as somebody's."""

import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from auth import passwords
from auth.passwords import (
    hash_password,
    is_password,
    is_weakly_kept,
    make_temporary_password,
    require_good_password,
)
from core.config import get_settings
from core.errors import InputError

ADA = {"email": "ada.lovelace@firm.example", "name": "Ada Lovelace"}


class TestRequireGoodPassword:
    @pytest.mark.parametrize(
        "password",
        ["correct horse battery staple", "four plain words", "Zw7-kk!0pQ-lm", "пароль из слов", "x7" * 3 + "kqzmwv"],
    )
    def test_lets_good_ones_pass(self, password: str) -> None:
        require_good_password(password, **ADA)

    @pytest.mark.parametrize(
        ("password", "why"),
        [
            ("short-one-1", "11 characters"),
            ("x" * 201, "201 characters"),
            ("Password1234", "most used"),
            ("p@ssw0rd2024!", "most used"),
            ("Welcome-2026!!", "most used"),
            ("198419841984", "figures alone"),
            ("qwertyuiopas", "follows the keyboard"),
            ("abababababab", "repeats"),
            ("zyxwvutsrqponm", "follows the keyboard"),
            ("AdaLovelace1815", "name or address"),
            ("ada.lovelace@firm.example", "name or address"),
        ],
    )
    def test_refuses_with_the_reason(self, password: str, why: str) -> None:
        with pytest.raises(InputError, match=why) as refused:
            require_good_password(password, **ADA)
        assert password not in str(refused.value)

    @given(st.text(max_size=220))
    def test_whatever_passes_is_long_enough_and_varied(self, password: str) -> None:
        try:
            require_good_password(password, **ADA)
        except InputError:
            return
        assert 12 <= len(unicodedata.normalize("NFKC", password)) <= 200
        assert len(set(unicodedata.normalize("NFKC", password).lower())) >= 5

    def test_temporary_ones_pass_and_differ(self) -> None:
        made = {make_temporary_password() for _ in range(50)}
        assert len(made) == 50
        for password in made:
            require_good_password(password, **ADA)


class TestHashPassword:
    def test_is_argon2id_salted_and_verifies(self) -> None:
        kept = hash_password("four plain words")
        assert kept.startswith("$argon2id$")
        assert kept != hash_password("four plain words")
        assert is_password("four plain words", kept)
        assert not is_password("four plain word", kept)

    def test_the_same_letters_typed_otherwise_are_the_same_password(self) -> None:
        assert is_password("caf\u00e9 and plain words", hash_password("cafe\u0301 and plain words"))

    def test_nobodys_password_is_never_right_and_is_weighed_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weighed = []
        verify = PasswordHasher.verify

        def watch(self: PasswordHasher, kept: str | bytes, password: str | bytes) -> bool:
            weighed.append(str(kept))
            return verify(self, kept, password)

        monkeypatch.setattr(PasswordHasher, "verify", watch)
        somebodys = hash_password("four plain words")
        assert not is_password("anything at all", None)
        assert not is_password("anything at all", somebodys)
        assert extract_parameters(weighed[0]) == extract_parameters(weighed[1])

    def test_a_damaged_hash_is_no_password(self) -> None:
        assert not is_password("four plain words", "$argon2id$broken")

    def test_strong_outside_of_tests_and_due_when_parameters_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weak = hash_password("four plain words")
        assert not is_weakly_kept(weak)
        monkeypatch.setenv("ACIS_ENVIRONMENT", "dev")
        get_settings.cache_clear()
        passwords._hasher.cache_clear()
        try:
            assert is_weakly_kept(weak)
            parameters = extract_parameters(hash_password("four plain words"))
            assert (parameters.memory_cost, parameters.time_cost) == (19_456, 4)
        finally:
            passwords._hasher.cache_clear()
            get_settings.cache_clear()
