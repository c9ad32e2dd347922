"""Reports: asked for once, filled in by their job, a page without a way in for anybody's text."""

from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import DataMissing, InputError, NotFound
from database.queries.reports import find_report
from database.tables.accounts import Account
from database.tables.households import Client
from database.tables.reports import Report
from database.tables.runs import Run
from portfolios.content import DISCLOSURES
from portfolios.reports import ask_for_report, make_report
from tests.factories.accounts import create_client
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NIGHT, create_priced_stock
from tests.factories.targets import create_target
from tests.factories.trades import move_cash, trade, value

D = Decimal
FIRST, SECOND = date(2017, 6, 26), date(2017, 6, 28)
HOSTILE = '<script>alert("1")</script>'


class Tags(HTMLParser):
    """The tags of a page, with every attribute that could load or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in {"src", "href", "action"} or name.startswith("on")]


@pytest.fixture
def account(session: Session) -> Account:
    session.add(
        Run(job="nightly", as_of=NIGHT, book="paper", status="succeeded", steps={}, result={}, code_commit="test")
    )
    account = create_funded_account(session, opened_on=FIRST)
    aaa = create_priced_stock(session, "AAA", closes={NIGHT: 110.0})
    trade(session, account, aaa, quantity=1000, session_on=SECOND, commission="5.00")
    move_cash(session, account, amount="20000.00", booked_on=date(2017, 6, 29))
    create_target(session, account, session_on=NIGHT, weights={aaa: D("0.1")})
    closes = {FIRST: ("1000000.00", "0"), SECOND: ("899995.00", "100000"), NIGHT: ("919995.00", "110000")}
    value(session, account, closes)
    return account


def ask(session: Session, client_id: int, *, from_on: date | None = FIRST, to_on: date | None = None) -> Report:
    return ask_for_report(
        session, client_id=client_id, from_on=from_on, to_on=to_on, actor="ada@firm.example", requested_by=None
    )


class TestAskForReport:
    def test_the_job_and_the_report_know_each_other(self, session: Session, account: Account) -> None:
        report = ask(session, account.client_id)
        row = session.execute(text("select name, client_id, is_private, payload from jobs")).one()
        assert (row.name, row.client_id, row.is_private) == ("make-report", account.client_id, True)
        assert row.payload == {"client_id": account.client_id, "from_on": "2017-06-26", "to_on": "2017-06-30"}
        assert (report.page, report.to_on) == (None, NIGHT)

    def test_no_such_client(self, session: Session, account: Account) -> None:
        with pytest.raises(NotFound):
            ask(session, account.client_id + 1000)

    @pytest.mark.parametrize(
        ("from_on", "to_on", "word"),
        [
            (NIGHT, None, "from_on is 2017-06-30"),
            (date(2000, 1, 3), None, "ten years"),
            (None, date(2018, 1, 3), "as_of is 2018-01-03"),
        ],
    )
    def test_days_that_are_no_period(
        self, session: Session, account: Account, from_on: date | None, to_on: date | None, word: str
    ) -> None:
        with pytest.raises(InputError, match=word):
            ask(session, account.client_id, from_on=from_on, to_on=to_on)


class TestMakeReport:
    def made(self, session: Session, client_id: int) -> Report:
        report = ask(session, client_id)
        steps: list[str] = []
        make_report(session, job_id=report.job_id, progress=lambda step, done, total: steps.append(f"{step} {done}"))
        assert steps == ["figures 0", "page 1", "page 2"]
        session.expire_all()
        found = find_report(session, report_id=report.report_id)
        assert found is not None
        return found

    def test_figures(self, session: Session, account: Account) -> None:
        content = self.made(session, account.client_id).content
        assert content is not None
        assert content["portfolio"]["value_usd"] == "1029995.00"
        assert content["portfolio"]["holdings"][0]["symbol"] == "AAA"
        expected = 999_995 / 1_000_000 * (1_029_995 / 1_019_995) - 1
        assert content["period"]["time_weighted"] == pytest.approx(expected)
        assert content["costs"]["commissions_usd"] == "5.00"
        assert [one["amount_usd"] for one in content["flows"]] == ["20000.00"]
        assert content["trades"][0]["amount_usd"] == "100000.00"
        assert content["disclosures"] == list(DISCLOSURES)
        assert content["health"]["components"]

    def test_made_twice_it_is_the_same(self, session: Session, account: Account) -> None:
        first = self.made(session, account.client_id)
        page, content = first.page, first.content
        make_report(session, job_id=first.job_id)
        session.expire_all()
        again = find_report(session, report_id=first.report_id)
        assert again is not None
        assert (again.page, again.content) == (page, content)

    def test_the_page_runs_nothing_and_loads_nothing(self, session: Session, account: Account) -> None:
        client = session.get_one(Client, account.client_id)
        client.name = HOSTILE
        session.execute(
            text("update instruments set name = :name where symbol = 'AAA'"), {"name": 'A"><img src=x onerror=1>'}
        )
        session.flush()
        page = self.made(session, account.client_id).page
        assert page is not None
        found = Tags(page)
        assert "script" not in found.tags
        assert "img" not in found.tags
        assert found.loads == []
        assert "&lt;script&gt;" in page

    def test_a_client_without_an_account(self, session: Session, account: Account) -> None:
        found = self.made(session, create_client(session).client_id)
        assert found.page is not None
        assert "no open account" in found.page

    def test_a_job_without_a_report(self, session: Session) -> None:
        with pytest.raises(DataMissing, match="no report belongs to job 7"):
            make_report(session, job_id=7)
