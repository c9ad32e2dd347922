"""Whether the code as it is was audited: a run counts for the sources that it ran over, and for nothing else."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from registry import leaks
from registry.leaks import leak_state, probed_code_hash, record_leak_audit

DAY = date(2017, 6, 30)


@pytest.fixture(autouse=True)
def fresh_hash() -> None:
    probed_code_hash.cache_clear()


def probe(name: str, status: str, *, is_required: bool = True) -> dict[str, Any]:
    return {"name": name, "status": status, "is_required": is_required}


def test_code_that_was_never_probed_is_not_clean(session: Session) -> None:
    state = leak_state(session)
    assert (state.status, state.leak_audit_id) == ("not_run", None)
    assert "acis audit leaks" in state.reason


def test_clean_run_counts_even_where_a_probe_of_stored_data_had_nothing_to_look_at(session: Session) -> None:
    record_leak_audit(session, as_of=DAY, probes=[probe("a", "clean"), probe("b", "not_run", is_required=False)])
    state = leak_state(session)
    assert (state.status, state.as_of) == ("clean", DAY)
    assert "1 of 2" in state.reason


def test_required_probe_that_did_not_run_is_not_clean(session: Session) -> None:
    record_leak_audit(session, as_of=DAY, probes=[probe("a", "clean"), probe("b", "not_run")])
    state = leak_state(session)
    assert state.status == "not_run"
    assert state.reason.endswith(": b")


def test_audit_without_probes_proves_nothing(session: Session) -> None:
    record_leak_audit(session, as_of=DAY, probes=[])
    assert leak_state(session).status == "not_run"


def test_newest_run_counts(session: Session) -> None:
    record_leak_audit(session, as_of=DAY, probes=[probe("a", "clean")])
    record_leak_audit(session, as_of=DAY, probes=[probe("a", "clean"), probe("c", "found", is_required=False)])
    state = leak_state(session)
    assert state.status == "found"
    assert state.reason.endswith(": c")


def test_changed_code_was_not_audited(session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    source = tmp_path / "features" / "momentum.py"
    source.write_text("window = 21\n")
    monkeypatch.setattr(leaks, "REPOSITORY", tmp_path)
    monkeypatch.setattr(leaks, "PROBED", ("features",))
    record_leak_audit(session, as_of=DAY, probes=[probe("a", "clean")])
    assert leak_state(session).status == "clean"
    source.write_text("window = -21\n")
    probed_code_hash.cache_clear()
    assert leak_state(session).status == "not_run"


def test_every_probed_place_is_there(repository: Path) -> None:
    assert all((repository / place).exists() for place in leaks.PROBED)
