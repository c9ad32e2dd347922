"""The vault: what was sealed opens for its owner under any key in use, and for nobody else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth import vault
from auth.vault import is_sealed_with_newest, open_sealed, seal
from core.config import get_settings
from core.errors import InputError, IntegrityBroken

OLD, NEW = "old-" + "o" * 40, "new-" + "n" * 40
UseKeys = Callable[[str | None], None]


@pytest.fixture
def use_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[UseKeys]:
    """Sets ACIS_VAULT_KEYS, in a var folder of the test's own."""

    def use(value: str | None) -> None:
        monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
        if value is None:
            monkeypatch.delenv("ACIS_VAULT_KEYS", raising=False)
        else:
            monkeypatch.setenv("ACIS_VAULT_KEYS", value)
        get_settings.cache_clear()
        vault._keys.cache_clear()

    yield use
    get_settings.cache_clear()
    vault._keys.cache_clear()


class TestSeal:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(secret=st.binary(max_size=64), user_id=st.integers(1, 2**63 - 1))
    def test_opens_as_it_was_and_never_looks_the_same(self, use_keys: UseKeys, secret: bytes, user_id: int) -> None:
        use_keys(NEW)
        sealed = seal(secret, purpose="second factor", user_id=user_id)
        assert sealed != seal(secret, purpose="second factor", user_id=user_id)
        assert open_sealed(sealed, purpose="second factor", user_id=user_id) == secret

    def test_moved_to_another_row_or_purpose_does_not_open(self, use_keys: UseKeys) -> None:
        use_keys(NEW)
        sealed = seal(b"secret", purpose="second factor", user_id=1)
        for user_id, purpose in ((2, "second factor"), (1, "broker token")):
            with pytest.raises(IntegrityBroken, match="moved from another's row"):
                open_sealed(sealed, purpose=purpose, user_id=user_id)

    def test_every_flipped_bit_is_noticed(self, use_keys: UseKeys) -> None:
        use_keys(NEW)
        sealed = seal(b"secret", purpose="second factor", user_id=1)
        for place in range(len(sealed)):
            changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
            with pytest.raises(IntegrityBroken):
                open_sealed(changed, purpose="second factor", user_id=1)
        with pytest.raises(IntegrityBroken):
            open_sealed(sealed[:10], purpose="second factor", user_id=1)


class TestRotation:
    def test_reads_go_on_the_newest_seals_and_a_key_that_is_gone_is_named(self, use_keys: UseKeys) -> None:
        use_keys(OLD)
        before = seal(b"secret", purpose="second factor", user_id=1)
        use_keys(f"{NEW},{OLD}")
        assert open_sealed(before, purpose="second factor", user_id=1) == b"secret"
        assert not is_sealed_with_newest(before)
        after = seal(b"secret", purpose="second factor", user_id=1)
        use_keys(NEW)
        assert open_sealed(after, purpose="second factor", user_id=1) == b"secret"
        with pytest.raises(IntegrityBroken, match="ACIS_VAULT_KEYS no longer"):
            open_sealed(before, purpose="second factor", user_id=1)


class TestKeys:
    def test_without_a_setting_one_is_made_once_for_this_user_alone(self, use_keys: UseKeys, tmp_path: Path) -> None:
        use_keys(None)
        sealed = seal(b"secret", purpose="second factor", user_id=1)
        vault._keys.cache_clear()
        assert open_sealed(sealed, purpose="second factor", user_id=1) == b"secret"
        file = tmp_path / "keys" / "vault.secret"
        assert file.stat().st_mode & 0o077 == 0
        assert [path.name for path in file.parent.iterdir()] == ["vault.secret"]

    @pytest.mark.parametrize("value", ["short", f"{NEW},short", " , "])
    def test_too_short_is_refused_without_being_told(self, use_keys: UseKeys, value: str) -> None:
        use_keys(value)
        with pytest.raises(InputError, match="ACIS_VAULT_KEYS holds") as refused:
            seal(b"secret", purpose="second factor", user_id=1)
        assert "short" not in str(refused.value).replace("newest", "")
