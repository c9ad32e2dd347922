"""`acis audit verify`: sound, damaged, cut."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from auth.anchors import EVERY
from auth.audit import record
from auth.seals import seal
from cli.main import run
from core.clock import fixed_clock
from core.config import get_settings
from database.session import transaction
from tests.conftest import NOW


@pytest.fixture(scope="module", autouse=True)
def chain(committed_database: str) -> None:
    """Five rows, sealed and anchored, and one that waits."""
    for minutes in (0, 2):
        with fixed_clock(NOW + minutes * EVERY), transaction() as session:
            for number in range(5 if minutes == 0 else 0):
                record(session, actor="ann", action="change", subject="mandate", subject_id=number)
            session.flush()
            seal(session)
    with fixed_clock(NOW + timedelta(minutes=3)), transaction() as session:
        record(session, actor="ann", action="change", subject="mandate", subject_id=9)


def _answer(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["acis", *words])
        with pytest.raises(SystemExit) as ended:
            run()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out or said.err


def _spoil(statement: str) -> None:
    with transaction() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text(statement))


class TestVerify:
    def test_sound_then_edited_then_cut(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        code, out = _answer(["audit", "verify"], capsys)
        assert (code, "5 of 5 seals recomputed, 1 rows wait" in out, "1 anchors met" in out) == (0, True, True)

        copy = tmp_path / "copy.jsonl"
        get_settings().audit_anchor_file.rename(copy)
        code, out = _answer(["audit", "verify", "--json"], capsys)
        assert (code, json.loads(out)["anchors"], json.loads(out)["bad"]) == (0, 0, None)
        code, out = _answer(["audit", "verify", "--anchor", str(copy), "--json"], capsys)
        assert (code, json.loads(out)["anchors"]) == (0, 1)

        _spoil("update audit set actor = 'bob' where subject_id = '3'")
        code, out = _answer(["audit", "verify"], capsys)
        assert code == 1
        assert "first bad: audit row 4 seal 4" in out
        _spoil("update audit set actor = 'ann' where subject_id = '3'")

        _spoil("delete from audit_seals where seal_id > 2")
        _spoil("delete from audit where audit_id > 2")
        assert _answer(["audit", "verify"], capsys)[0] == 0
        code, out = _answer(["audit", "verify", "--anchor", str(copy)], capsys)
        assert code == 1
        assert "the chain ends at seal 2" in out

    def test_missing_anchor_file_is_an_input_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, _ = _answer(["audit", "verify", "--anchor", "/nowhere/anchors.jsonl"], capsys)
        assert code == 2
