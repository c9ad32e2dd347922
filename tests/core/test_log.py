"""Logs: one line per event on stderr, and no secret in any of them."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from core.config import Settings
from core.log import configure_logs, get_logger


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str], **values: object) -> dict[str, object]:
    configure_logs(Settings(log_json=True, log_level="INFO"))
    get_logger("trading").info("sent", **values)
    line: dict[str, object] = json.loads(capsys.readouterr().err)
    return line


class TestMasking:
    @pytest.mark.parametrize(
        "name", ["password", "broker_secret", "access_token", "Authorization", "api_key", "apikey", "vendor_api_key"]
    )
    def test_values_of_secret_names(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        assert logged(capsys, **{name: "canary"})[name] == "***"

    def test_password_inside_a_url(self, capsys: pytest.CaptureFixture[str]) -> None:
        line = logged(capsys, server="postgresql://acis:canary@db:5432/acis")
        assert line["server"] == "postgresql://acis:***@db:5432/acis"

    def test_what_is_no_secret_stays(self, capsys: pytest.CaptureFixture[str]) -> None:
        line = logged(capsys, symbol="AAPL", shares=3)
        assert (line["symbol"], line["shares"], line["room"], line["event"]) == ("AAPL", 3, "trading", "sent")


def test_level_of_the_settings_counts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_level="WARNING"))
    get_logger("trading").info("quiet")
    assert capsys.readouterr().err == ""


def test_bound_ids_stand_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(run_id=7):
        assert logged(capsys)["run_id"] == 7


def test_a_line_goes_to_stderr_as_it_is_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(Settings(log_level="INFO"))
    log = get_logger("trading")
    later = io.StringIO()
    monkeypatch.setattr("sys.stderr", later)
    log.info("heard")
    assert "heard" in later.getvalue()
