"""Settings: what the environment may say, and what is refused with the name of what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import SOCKET_PATH_BYTES_MAX, Settings, child_environment, get_settings
from core.errors import InputError


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in (*NEEDED, "ACIS_ENVIRONMENT", "ACIS_THREADS", "ACIS_VAR_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


NEEDED = {
    "DATABASE_URL": "postgresql://db/acis",
    "REDIS_URL": "redis://queue:6379/0",
    "ACIS_TOKEN_SECRETS": "t" * 43,
    "ACIS_VAULT_KEYS": "v" * 43,
}


class TestProduction:
    @pytest.mark.parametrize("absent", [[name] for name in NEEDED] + [list(NEEDED)], ids="+".join)
    def test_names_what_is_not_set(self, monkeypatch: pytest.MonkeyPatch, absent: list[str]) -> None:
        monkeypatch.setenv("ACIS_ENVIRONMENT", "production")
        for name, value in NEEDED.items():
            if name not in absent:
                monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=f"production needs {' and '.join(absent)} to be set"):
            get_settings()

    def test_starts_with_all_and_sends_cookies_over_tls_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACIS_ENVIRONMENT", "production")
        for name, value in NEEDED.items():
            monkeypatch.setenv(name, value)
        assert get_settings().queue_url == "redis://queue:6379/0"
        assert get_settings().cookies_are_secure


class TestBadValues:
    @pytest.mark.parametrize(
        ("name", "value"), [("ACIS_THREADS", "0"), ("ACIS_ENVIRONMENT", "staging"), ("ACIS_LOG_LEVEL", "LOUD")]
    )
    def test_are_named(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=name.removeprefix("ACIS_").lower()) as refused:
            get_settings()
        assert value in str(refused.value)

    def test_settings_cannot_be_changed_afterwards(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            get_settings().threads = 8  # type: ignore[misc]  # the point of the test


class TestQueue:
    def test_embedded_socket_lies_in_var(self, tmp_path: Path) -> None:
        settings = Settings(var_dir=tmp_path)
        assert settings.redis_socket == tmp_path.resolve() / "redis" / "redis.sock"
        assert settings.queue_url == f"redis+socket://{settings.redis_socket}"

    def test_long_path_gets_a_short_socket_of_its_own(self, tmp_path: Path) -> None:
        one, two = (Settings(var_dir=tmp_path / (letter * 120)).redis_socket for letter in "ab")
        assert one != two
        assert len(str(one)) <= SOCKET_PATH_BYTES_MAX


def test_child_environment_adds_to_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACIS_THREADS", "3")
    assert child_environment(EXTRA="1").items() >= {("ACIS_THREADS", "3"), ("EXTRA", "1")}
