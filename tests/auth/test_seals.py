"""The audit's chain: whatever a later hand does to it, the first bad row is named."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from auth.anchors import EVERY, Anchor, keep_anchor, read_anchors
from auth.audit import record
from auth.seals import BATCH_ROWS, BadRow, seal, verify
from core.clock import fixed_clock
from core.config import get_settings
from core.errors import InputError
from tests.conftest import NOW

ROWS = 40
SEEDS = range(300)


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def write(session: Session, rows: int, *, after_s: int = 0) -> None:
    """Rows a second apart, all different."""
    for number in range(rows):
        with fixed_clock(NOW + timedelta(seconds=after_s + number)):
            record(session, actor="ann", action="change", subject="mandate", subject_id=number, after={"v": number})


def seal_and_anchor(session: Session) -> None:
    """As the dispatcher does: a pass seals, the one after it anchors."""
    with fixed_clock(NOW + timedelta(seconds=ROWS)):
        seal(session)
    with fixed_clock(NOW + timedelta(seconds=ROWS) + 2 * EVERY):
        seal(session)


@pytest.fixture
def sealed(session: Session) -> Session:
    """A chain of ROWS rows, open to the worst of hands: no trigger and no key binds it."""
    write(session, ROWS)
    seal_and_anchor(session)
    session.execute(text("set local session_replication_role = replica"))
    return session


def audit_ids(session: Session) -> list[int]:
    return list(session.scalars(text("select audit_id from audit order by audit_id")))


def anchors() -> list[Anchor]:
    return read_anchors(get_settings().audit_anchor_file)


class TestSeal:
    def test_rows_are_sealed_once_in_order(self, session: Session) -> None:
        write(session, 3)
        assert seal(session) == 3
        assert seal(session) == 0
        write(session, 2, after_s=3)
        assert seal(session) == 2
        held = session.execute(text("select seal_id, audit_id from audit_seals order by seal_id")).all()
        assert [row.audit_id for row in held] == audit_ids(session)
        assert [row.seal_id for row in held] == [1, 2, 3, 4, 5]
        done = verify(session)
        assert (done.sealed, done.waiting, done.checked, done.bad) == (5, 0, 5, None)

    def test_batch_is_bounded_and_the_rest_waits(self, session: Session) -> None:
        session.execute(
            text(
                "insert into audit (at, actor, action, subject, subject_id)"
                " select :now, 'ann', 'look', 'client', n::text from generate_series(1, :rows) n"
            ),
            {"now": NOW, "rows": BATCH_ROWS + 10},
        )
        assert seal(session) == BATCH_ROWS
        assert verify(session).waiting == 10
        assert seal(session) == 10
        assert verify(session).bad is None

    def test_row_that_was_committed_late_is_sealed_late(self, session: Session) -> None:
        write(session, 3)
        first = audit_ids(session)[0]
        session.execute(text("set local session_replication_role = replica"))
        taken = session.execute(text("delete from audit where audit_id = :key returning *"), {"key": first}).one()
        assert seal(session) == 2
        session.execute(
            text(
                "insert into audit (audit_id, at, actor, action, subject, subject_id)"
                " overriding system value values (:audit_id, :at, :actor, :action, :subject, :subject_id)"
            ),
            dict(taken._mapping),
        )
        done = verify(session)
        assert (done.waiting, done.bad) == (1, None)
        assert seal(session) == 1
        assert verify(session).bad is None

    def test_states_and_letters_of_any_kind_keep_their_seal(self, session: Session) -> None:
        after = {"é": "\U0001f600\\\"'\n", "n": None, "nested": [1, {"a": 1.5}], "big": 10**30}
        record(session, actor="zoë", action="add", subject="client", subject_id="x", before={}, after=after)
        seal(session)
        session.expire_all()
        assert verify(session).bad is None


Mutation = Callable[[Session, random.Random, list[int]], int | None]


def edit(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    key = choice.choice(ids)
    column, value = choice.choice(
        [
            ("actor", "'bob'"),
            ("action", "'look'"),
            ("subject", "'client'"),
            ("subject_id", "'0x'"),
            ("at", "at + interval '1 microsecond'"),
            ("before", "'{}'"),
            ("after", "null"),
            ("after", "jsonb_set(after, '{v}', '-1')"),
            ("after", "'null'"),
            ("request_id", "'r'"),
            ("address", "''"),
        ]
    )
    session.execute(text(f"update audit set {column} = {value} where audit_id = :key"), {"key": key})
    return key


def remove_row(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    key = choice.choice(ids)
    session.execute(text("delete from audit where audit_id = :key"), {"key": key})
    return key


def remove_row_and_seal(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    key = choice.choice(ids[:-1])
    session.execute(text("delete from audit_seals where audit_id = :key"), {"key": key})
    session.execute(text("delete from audit where audit_id = :key"), {"key": key})
    return None


def remove_and_close_the_gap(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    number = choice.randrange(len(ids) - 1)
    remove_row_and_seal(session, random.Random(0), [ids[number], 0])
    session.execute(text("update audit_seals set seal_id = -seal_id where seal_id > :gap"), {"gap": number + 1})
    session.execute(text("update audit_seals set seal_id = -seal_id - 1 where seal_id < 0"))
    return ids[number + 1]


def swap(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    one, other = sorted(choice.sample(ids, 2))
    for old, new in ((one, -1), (other, one), (-1, other)):
        session.execute(text("update audit set audit_id = :new where audit_id = :old"), {"old": old, "new": new})
    return one


def swap_seals(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    one, other = sorted(choice.sample(range(1, len(ids) + 1), 2))
    for old, new in ((one, -1), (other, one), (-1, other)):
        session.execute(text("update audit_seals set seal_id = :new where seal_id = :old"), {"old": old, "new": new})
    return ids[other - 1]


def edit_seal(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    key = choice.choice(ids)
    column, value = choice.choice(
        [("hash", "reverse(hash)"), ("previous_hash", "hash"), ("sealed_at", "sealed_at - interval '1 day'")]
    )
    session.execute(text(f"update audit_seals set {column} = {value} where audit_id = :key"), {"key": key})
    return key


def insert_unsealed(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    key = choice.choice([-5, max(ids) + 1_000_000])
    put_row(session, key, NOW - timedelta(days=choice.randrange(1, 900)))
    if choice.random() < 0.5:
        seal(session)
    return key


def put_row(session: Session, key: int, at: datetime) -> None:
    session.execute(
        text(
            "insert into audit (audit_id, at, actor, action, subject, subject_id) overriding system value"
            " values (:key, :at, 'ann', 'approve', 'recommendation', '1')"
        ),
        {"key": key, "at": at},
    )


def insert_with_a_seal(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    number, key = choice.randrange(1, len(ids)), max(ids) + 1_000_000
    session.execute(text("update audit_seals set seal_id = -seal_id - 1 where seal_id > :at"), {"at": number})
    session.execute(text("update audit_seals set seal_id = -seal_id where seal_id < 0"))
    put_row(session, key, NOW)
    session.execute(
        text("insert into audit_seals select :seal, :key, hash, 'x' from audit_seals where seal_id = :before"),
        {"seal": number + 1, "key": key, "before": number},
    )
    return key


def cut_tail(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    last = choice.randrange(0, len(ids))
    session.execute(text("delete from audit_seals where seal_id > :last"), {"last": last})
    session.execute(text("delete from audit where audit_id > :last"), {"last": ids[last - 1] if last else 0})
    more = choice.choice([0, choice.randrange(1, 60)])
    write(session, more, after_s=ROWS)
    seal(session)
    # Shorter than it was, it lacks seals; as long again, its first row is the first that nobody vouches for.
    return None if last + more < ROWS else audit_ids(session)[0]


def rewrite(session: Session, choice: random.Random, ids: list[int]) -> int | None:
    edit(session, choice, ids)
    session.execute(text("delete from audit_seals"))
    seal(session)
    return ids[0]


WITHOUT_ANCHORS = (
    edit,
    remove_row,
    remove_row_and_seal,
    remove_and_close_the_gap,
    swap,
    swap_seals,
    edit_seal,
    insert_unsealed,
    insert_with_a_seal,
)


class TestVerify:
    def test_sound_chain_has_no_bad_row(self, sealed: Session) -> None:
        done = verify(sealed, anchors())
        assert (done.bad, done.sealed, done.checked, done.anchors) == (None, ROWS, ROWS, 1)

    def test_each_of_many_mutations_is_found_and_the_first_bad_row_named(self, sealed: Session) -> None:
        missed = []
        for seed in SEEDS:
            choice = random.Random(seed)
            mutate = choice.choice(WITHOUT_ANCHORS)
            undo = sealed.begin_nested()
            ids = audit_ids(sealed)
            expected = mutate(sealed, choice, ids)
            bad = verify(sealed).bad
            if bad is None or bad.audit_id != expected:
                missed.append((seed, mutate.__name__, expected, bad))
            undo.rollback()
        assert missed == []

    def test_removed_seal_is_named_by_its_number(self, sealed: Session) -> None:
        key = audit_ids(sealed)[6]
        remove_row_and_seal(sealed, random.Random(0), [key, 0])
        assert verify(sealed).bad == BadRow(
            7, None, "the seal is not there: it was removed, and its row with it or not"
        )

    def test_cut_tail_and_new_chain_are_seen_by_the_anchor_alone(self, sealed: Session) -> None:
        kept = anchors()
        for seed in range(60):
            for mutate in (cut_tail, rewrite):
                undo = sealed.begin_nested()
                choice = random.Random(seed)
                expected = mutate(sealed, choice, audit_ids(sealed))
                assert verify(sealed).bad is None, "a chain alone cannot see this"
                bad = verify(sealed, kept).bad
                assert bad is not None, (mutate.__name__, seed)
                assert bad.audit_id == expected, (mutate.__name__, seed)
                undo.rollback()

    def test_chain_written_anew_is_not_vouched_for_by_a_later_anchor(self, sealed: Session) -> None:
        (kept,) = anchors()
        rewrite(sealed, random.Random(1), audit_ids(sealed))
        end = sealed.scalar(text("select hash from audit_seals order by seal_id desc limit 1"))
        assert verify(sealed, [kept, replace(kept, line=2, hash=str(end))]).bad is not None

    def test_everything_gone_is_seen_by_the_anchor(self, sealed: Session) -> None:
        sealed.execute(text("delete from audit_seals"))
        sealed.execute(text("delete from audit"))
        bad = verify(sealed, anchors()).bad
        assert bad is not None
        assert f"its end was seal {ROWS}" in bad.reason

    def test_newest_seals_alone_are_checked_where_asked(self, sealed: Session) -> None:
        ids = audit_ids(sealed)
        sealed.execute(text("update audit set actor = 'bob' where audit_id = :key"), {"key": ids[4]})
        done = verify(sealed, newest=10)
        assert (done.checked, done.bad) == (10, None)
        found = verify(sealed, newest=ROWS).bad
        assert found is not None
        assert found.audit_id == ids[4]


class TestAnchors:
    def test_one_a_minute_and_none_without_news(self) -> None:
        for seconds, seal_id in ((0, 1), (59, 2), (60, 3), (200, 3), (260, 4)):
            with fixed_clock(NOW + timedelta(seconds=seconds)):
                keep_anchor(seal_id=seal_id, hash_hex=str(seal_id))
        kept = read_anchors(get_settings().audit_anchor_file)
        assert [(anchor.seal_id, anchor.is_ours) for anchor in kept] == [(1, True), (3, True), (4, True)]

    def test_anchor_is_of_what_was_committed_before(self, session: Session) -> None:
        write(session, 3)
        seal(session)
        assert not get_settings().audit_anchor_file.exists()
        seal(session)
        assert [anchor.seal_id for anchor in read_anchors(get_settings().audit_anchor_file)] == [3]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda line: json.dumps({**json.loads(line), "hash": "0" * 64}),
            lambda line: json.dumps({**json.loads(line), "seal_id": 1}),
            lambda line: json.dumps({**json.loads(line), "at": NOW.isoformat()}),
            lambda line: json.dumps({**json.loads(line), "key": "another"}),
            lambda line: line[: len(line) // 2],
            lambda line: "[]",
            lambda line: '{"seal_id": []}',
        ],
    )
    def test_forged_anchor_is_no_anchor(self, sealed: Session, damage: Callable[[str], str]) -> None:
        path = get_settings().audit_anchor_file
        path.write_text(damage(path.read_text().strip()) + "\n")
        bad = verify(sealed, anchors()).bad
        assert bad is not None
        assert "line 1 of the anchors" in bad.reason

    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nowhere\.jsonl"):
            read_anchors(tmp_path / "nowhere.jsonl")
