"""The whole spine on a synthetic market: one night, the same night again, a night cut off, a replay, any order traced.

Everything is real but the market: features are built, screeners trained, PostgreSQL written by several connections.
"""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from clients.service import Opening, add_client
from core.errors import DataMissing, InputError, NotASession, Refused
from core.jobs import Replay, Ticket
from database.queries import jobs as queries
from database.queries.backtests import add_backtest
from database.queries.models import valid_models
from database.queries.runs import exclusive_run
from database.session import transaction
from database.tables.backtests import Backtest
from market_data.calendars import sessions_between
from mlops import night
from mlops.jobs.build_features import run_build_features
from mlops.jobs.nightly import run_nightly
from mlops.jobs.replay import book_name, perform, run_replay
from mlops.jobs.train_screener import run_train_screener
from mlops.night import STEPS
from tests.factories.market import Market, create_market
from tests.factories.roles import create_role, create_verdict
from trading.risk_rules import RISK_RULES
from trading.service import clone_book, explain_order, open_paper_account

pytestmark = pytest.mark.slow

LAST_ON = date(2017, 7, 14)
NIGHT = date(2017, 6, 30)
REPLAY = (date(2017, 7, 6), date(2017, 7, 13))
CHAMPION = "momentum_largecap"


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """A market with features, the screeners of 2017 and two clients: one free, one who must approve.

    Two people have made one screener champion against the gate's word; the others have not proven anything.
    """
    with transaction() as session:
        market = create_market(session, instruments=160, sessions=760, last_on=LAST_ON)
    run_build_features()
    run_train_screener(years=[2017])
    with transaction() as session:
        model = valid_models(session, kind="screener", as_of=NIGHT)[CHAMPION]
        verdict = create_verdict(session, model, verdict="not_proven")
        create_role(session, model, action="override", verdict=verdict)
        for name, autonomous in (("Ada", True), ("Ben", False)):
            opening = Opening(opened_on=NIGHT, autonomous=autonomous)
            _, account = add_client(session, household=name, name=name, opening=opening)
            assert account is not None
            open_paper_account(session, account_id=account.account_id)
    return market


@pytest.fixture(scope="module")
def report(market: Market) -> dict[str, Any]:
    """The night of NIGHT."""
    return run_nightly(as_of=NIGHT)


def rows(statement: str) -> list[tuple[Any, ...]]:
    with transaction() as session:
        return [tuple(row) for row in session.execute(text(statement))]


def versions() -> dict[str, Any]:
    """Count and newest row version of every table: any write anywhere changes it."""
    tables = rows(
        "select table_name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE' order by 1"
    )
    return {
        name: rows(f'select count(*), sum(xmin::text::bigint), sum(hashtext(t::text)) from "{name}" t')[0]
        for (name,) in tables
    }


class TestRunNight:
    def test_report_tells_the_night(self, report: dict[str, Any]) -> None:
        counts = report["counts"]
        assert report["as_of"] == NIGHT.isoformat()
        assert counts["universe"] == 160
        assert counts["screened"] > 0
        assert counts["targets"] == 2
        assert 0 < counts["target_positions"] <= 50
        assert counts["orders"] == counts["fills"] > 0
        assert list(report["seconds"]) == [*STEPS, "total"]
        assert {row["strategy"] for row in report["strategies"]} >= {report["strategy"]["name"]}

    def test_says_who_scored_and_weighed_and_why(self, report: dict[str, Any]) -> None:
        by_name = {row["strategy"]: row for row in report["strategies"]}
        assert by_name[CHAMPION]["scored_by"] == f"screener-{CHAMPION} version 1"
        assert "by two people's override" in by_name[CHAMPION]["scored_reason"]
        for name, row in by_name.items():
            if name != CHAMPION:
                assert row["scored_by"] == "plain rule"
                assert row["scored_reason"].startswith("plain rule: no screener passed the gate; newest verdict")
            assert row["allocator"] == "inverse_volatility"
            assert "no learned allocator" in row["allocator_reason"]
        assert {row["name"] for row in report["models"]["judged"]} == {f"screener-{name}" for name in by_name}
        assert {row["action"] for row in report["models"]["shadow"]} == {"keep", "wait"} & {
            row["action"] for row in report["models"]["shadow"]
        }

    def test_each_client_keeps_the_cash_floor(self, report: dict[str, Any]) -> None:
        for client in report["clients"]:
            assert client["cash_after_usd"] >= client["cash_floor_usd"]
            assert client["positions"] <= 50

    def test_who_must_approve_gets_proposals_and_no_order(self, report: dict[str, Any]) -> None:
        free, bound = sorted(report["clients"], key=lambda client: str(client["client"]))
        assert free["orders"] > 0
        assert bound["orders"] == 0
        assert bound["proposed"] > 0

    def test_every_fill_is_priced_at_the_next_open(self, report: dict[str, Any]) -> None:
        wrong = rows("""
            select f.fill_id from fills f join orders o using (order_id)
            join daily_bars b on b.instrument_id = o.instrument_id and b.session_on = f.session_on
            where f.session_on <> '2017-07-03' or f.market_price <> round(b.open::numeric, 4)
        """)
        assert rows("select count(*) > 0 from fills") == [(True,)]
        assert wrong == []

    def test_journal_balances_and_carries_the_cash(self, report: dict[str, Any]) -> None:
        assert rows("select entry_id from journal_lines group by 1 having sum(amount_usd) <> 0") == []
        cash = dict(
            rows("""
                select e.account_id, sum(l.amount_usd) from journal_lines l join journal_entries e using (entry_id)
                where l.ledger_account = 'cash' group by 1
            """)
        )
        for client in report["clients"]:
            assert cash[client["account_id"]] == Decimal(str(client["cash_after_usd"]))

    def test_nothing_known_later_was_used(self, report: dict[str, Any]) -> None:
        assert rows("select 1 from model_versions where last_label_on >= valid_from_on") == []
        used = rows("""
            select 1 from score_batches b join model_versions m using (model_version_id)
            where b.session_on < m.valid_from_on or b.session_on >= m.valid_to_on
        """)
        assert used == []

    def test_same_night_twice_changes_no_row(self, report: dict[str, Any]) -> None:
        before = versions()
        assert run_nightly(as_of=NIGHT) == report
        assert versions() == before

    def test_a_holiday_is_refused_with_its_neighbours(self, market: Market) -> None:
        with pytest.raises(NotASession, match=r"2017-07-03.*2017-07-05"):
            run_nightly(as_of=date(2017, 7, 4))

    def test_a_night_before_the_first_account_is_refused(self, market: Market) -> None:
        with pytest.raises(DataMissing, match="opens on 2017-06-30"):
            run_nightly(as_of=date(2017, 6, 1))

    def test_two_processes_do_not_run_the_same_night(self, market: Market) -> None:
        night_on = date(2017, 7, 5)
        with exclusive_run(night.JOB, night_on, "paper"), pytest.raises(Refused, match="already running"):
            run_nightly(as_of=night_on)


class TestCutOff:
    @pytest.mark.parametrize("step", ["scores", "shadow", "targets", "sending", "valuation", "standings"])
    def test_a_night_that_failed_is_carried_on(
        self, report: dict[str, Any], step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Cut the replay's night of 5 July off after `step`, run it again: the same orders as in one go."""
        night_on, book = date(2017, 7, 5), f"cut after {step}"
        with transaction() as session:
            clone_book(session, from_book="paper", to_book=book, opened_on=night_on)
        original = night.Clockwork.step

        def cut(self: night.Clockwork, name: str) -> Any:
            if self.seconds and list(self.seconds)[-1] == step:
                raise OSError("pulled the plug")
            return original(self, name)

        with monkeypatch.context() as patch:
            patch.setattr(night.Clockwork, "step", cut)
            if step != STEPS[-1]:
                with pytest.raises(OSError, match="plug"):
                    night.run_night(as_of=night_on, book=book)
                assert rows(f"select status from runs where book = '{book}'") == [("failed",)]
        again = night.run_night(as_of=night_on, book=book)
        assert again["counts"]["orders"] == again["counts"]["fills"] > 0
        doubled = rows(f"""
            select recommendation_id from orders join accounts using (account_id)
            where book = '{book}' group by 1 having count(*) > 1
        """)
        assert doubled == []


class TestReplay:
    def test_all_sessions_run_and_a_second_replay_changes_no_row(self, report: dict[str, Any]) -> None:
        first = run_replay(first_on=REPLAY[0], last_on=REPLAY[1])
        assert first.sessions == first.nights_run == 6
        before = versions()
        second = run_replay(first_on=REPLAY[0], last_on=REPLAY[1])
        assert (second.nights_run, second.nights_before) == (0, 6)
        assert versions() == before
        assert [outcome.value_end_usd for outcome in first.accounts] == [
            outcome.value_end_usd for outcome in second.accounts
        ]

    def test_no_model_served_that_was_not_champion(self, report: dict[str, Any]) -> None:
        run_replay(first_on=REPLAY[0], last_on=REPLAY[1])
        served = rows("""
            select distinct b.strategy, r.action from score_batches b
            left join model_roles r on r.model_version_id = b.model_version_id and r.role = 'champion'
                and r.effective_on <= b.session_on
            where b.lane = 'served' and b.model_version_id is not null
        """)
        assert served == [(CHAMPION, "override")]

    def test_every_lane_has_its_book(self, report: dict[str, Any]) -> None:
        run_replay(first_on=REPLAY[0], last_on=REPLAY[1])
        lanes = dict(rows("select lane, count(distinct strategy) from shadow_days group by 1"))
        assert lanes["served"] == lanes["plain"] == 6
        assert lanes["screener"] >= 1
        missing = rows("""
            select strategy, lane from shadow_days where session_on between '2017-07-06' and '2017-07-13'
            group by 1, 2 having count(*) <> 6
        """)
        assert missing == []
        assert rows("select count(*) > 0 from shadow_days where traded_cents > 0 and costs_cents > 0") == [(True,)]

    def test_paper_accounts_are_left_alone(self, report: dict[str, Any]) -> None:
        run_replay(first_on=REPLAY[0], last_on=REPLAY[1])
        book = book_name(*REPLAY)
        mixed = rows(f"""
            select 1 from orders join accounts using (account_id)
            where book = 'paper' and session_on between '{REPLAY[0]}' and '{REPLAY[1]}'
        """)
        assert rows(f"select count(*) from accounts where book = '{book}'") == [(2,)]
        assert mixed == []

    @pytest.mark.parametrize(
        ("first_on", "last_on", "message"),
        [
            (date(2017, 7, 7), date(2017, 7, 6), "must not be later"),
            (date(2017, 7, 8), date(2017, 7, 9), "no trading session"),
            (date(2017, 7, 10), date(2017, 8, 1), "bars end on 2017-07-14"),
        ],
    )
    def test_bad_stretches_are_refused(self, market: Market, first_on: date, last_on: date, message: str) -> None:
        with pytest.raises(InputError, match=message):
            run_replay(first_on=first_on, last_on=last_on)


class TestReplayJob:
    def test_keeps_what_the_book_went_through_and_names_no_account(self, report: dict[str, Any]) -> None:
        job = Replay(from_on=REPLAY[0], to_on=REPLAY[1])
        with transaction() as session:
            job_id = queries.add_job(session, {"name": job.name, "payload": {}, "attempts_max": 1, "actor": "ada"})
            assert job_id is not None
            row = add_backtest(session, job_id=job_id, title="", parameters={}, created_by="ada@firm.example")
        answer = perform(job, Ticket(job_id=job_id, origin_id=job_id, actor="ada"))
        assert answer["sessions"] == 6
        with transaction() as session:
            kept = session.get_one(Backtest, row.backtest_id)
        assert kept.measures is not None
        assert kept.series is not None
        assert kept.trades is not None
        assert kept.series["sessions"] == [day.isoformat() for day in sessions_between(*REPLAY)]
        assert (kept.series["portfolio"][0], len(kept.measures["months"])) == (1.0, 1)
        assert kept.measures["portfolio"]["sharpe"] is None
        assert len(kept.trades["symbol"]) > 0
        told = json.dumps([kept.measures, kept.series, kept.trades])
        for (name,) in rows("select name from accounts union select name from clients"):
            assert name not in told


class TestLineage:
    def test_every_order_leads_back_to_data_and_code(self, report: dict[str, Any]) -> None:
        orders = [order_id for (order_id,) in rows("select order_id from orders order by 1")]
        assert orders
        with transaction() as session:
            for order_id in orders[:: max(1, len(orders) // 10)]:
                chain = explain_order(session, order_id=order_id)
                assert len(chain["recommendation"]["checks"]) == len(RISK_RULES)
                assert chain["target"]["strategy"] == chain["allocation"]["strategy"]
                if chain["screener"]["name"] == "plain rule":
                    assert chain["screener"]["reason"].startswith("plain rule: no screener passed the gate")
                else:
                    assert chain["screener"]["manifest"]["strategy"] == chain["target"]["strategy"] == CHAMPION
                    assert chain["screener"]["manifest"]["feature_hash"]
                if chain["score"]["rank"] is None:
                    assert chain["order"]["side"] == "sell"
                    assert all(lot["bought_by_order_id"] in orders for lot in chain["order"]["lots_closed"])
                else:
                    assert chain["score"]["reasons"]
                    margin = chain["score"]["base"] + sum(chain["score"]["contributions"].values())
                    assert margin == pytest.approx(chain["score"]["margin"], abs=1e-6)
                (snapshot,) = chain["features"]["snapshots"]
                assert snapshot["year"] == 2017
                assert chain["features"]["feature_hash"]
                assert chain["features"]["data_vintage"]["daily_bars"]
                assert chain["regime"]
                assert chain["runs"][0]["code_commit"]
