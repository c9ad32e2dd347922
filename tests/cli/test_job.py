"""`acis job`: ask for work, watch it, stop it, try it again."""

import json

import pytest

from cli.main import run
from database.session import transaction
from jobs import lease

pytestmark = pytest.mark.usefixtures("committed_database")


def acis(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of one command."""
    monkeypatch.setattr("sys.argv", ["acis", "job", *line.split(" ")])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    capsys.readouterr()
    assert acis("list --json", monkeypatch) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_from_asked_for_to_tried_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert acis('run nightly --payload {"as_of":"2017-06-30"}', monkeypatch) == 0
    (job,) = listed(capsys, monkeypatch)
    assert (job["name"], job["status"]) == ("nightly", "queued")
    assert acis(f"cancel {job['job']}", monkeypatch) == 0
    assert acis(f"cancel {job['job']}", monkeypatch) == 2
    assert acis(f"retry {job['job']}", monkeypatch) == 0
    again, first = listed(capsys, monkeypatch)
    assert (again["status"], first["status"]) == ("queued", "cancelled")


def test_follow_tells_everything_and_ends_with_the_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acis("run build-features", monkeypatch)
    job_id = int(str(listed(capsys, monkeypatch)[0]["job"]))
    with transaction() as session:
        held = lease.take(session, job_id=job_id, worker="test:1")
        assert held is not None
        lease.tell_progress(session, held, step="years", done=1, total=2)
        lease.tell_line(session, held, {"level": "info", "event": "hello", "rows": 3})
        lease.close(session, held, status="failed", error="the disk is full")
    assert acis(f"follow {job_id}", monkeypatch) == 1
    told = capsys.readouterr().err
    for word in ("queued", "running", "years: 1 of 2", "info: hello rows=3", "failed: the disk is full"):
        assert word in told
    assert acis(f"show {job_id}", monkeypatch) == 0
    assert "the disk is full" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("run nigthly", "nightly"),
        ("run nightly --payload {", "--payload"),
        ('run nightly --payload {"as_off":1}', "as_off"),
        ("show 999999", "999999"),
        ("list --status done", "succeeded"),
    ],
)
def test_wrong_words_are_answered_in_a_line(
    line: str, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acis(line, monkeypatch) == 2
    assert word in capsys.readouterr().err
