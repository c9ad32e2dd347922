"""`acis keys`: what signs here, what may serve, and a change of keys that models survive."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import run
from core.config import get_settings
from core.errors import ArtefactRefused
from registry import artefact


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of the test's own."""
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def answer(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The JSON document of one command."""
    monkeypatch.setattr("sys.argv", ["acis", "keys", *line.split(), "--json"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert not ended.value.code
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_model_outlives_a_change_of_keys_and_not_the_loss_of_trust(
    var: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer("list", capsys, monkeypatch)["trusted_keys"] == []
    first = answer("trust", capsys, monkeypatch)["trusted"]
    folder, digest, _ = artefact.save(
        var / "models", name="screener-toy", label="2017", files={"a.json": b"{}"}, description={}
    )
    rotated = answer("rotate", capsys, monkeypatch)
    assert rotated["before"] == first
    listed = answer("list", capsys, monkeypatch)
    assert listed["signing_key"] == rotated["after"]
    assert listed["trusted_keys"] == sorted([str(first), str(rotated["after"])])
    artefact.load(var / "models" / folder, expected_sha256=digest, expected={})
    (var / "keys" / "trusted" / f"{first}.pub").unlink()
    with pytest.raises(ArtefactRefused, match="not among the trusted keys"):
        artefact.load(var / "models" / folder, expected_sha256=digest, expected={})


@pytest.mark.parametrize("line", ["list", "trust", "rotate"])
def test_says_it_in_words(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["acis", "keys", line])
    with pytest.raises(SystemExit):
        run()
    said = capsys.readouterr()
    assert "serve" in said.out + said.err or "signed" in said.err
