"""From an order back to everything behind it."""

import json
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from core.errors import InputError
from database.tables.accounts import Account
from database.tables.features import FeatureSnapshot
from database.tables.regimes import LABELS, Regime
from database.tables.runs import Run
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.quotes import NEXT, NIGHT, create_priced_stock
from tests.factories.targets import create_target
from trading import service
from trading.risk_rules import RISK_RULES

D = Decimal


@pytest.fixture
def order_id(session: Session) -> int:
    """A filled buy with all that stands behind one."""
    account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
    stock = create_priced_stock(session, "AAA", sector="Energy")
    create_target(session, account, session_on=NIGHT, weights={stock: D("0.1")})
    session.add_all(
        [
            Regime(
                session_on=NIGHT,
                detector="rules",
                label="bull",
                raw_label="bull",
                probabilities=dict.fromkeys(LABELS, 0.2),
                drivers={"vix": 11.2},
                detector_version="1",
                data_vintage={},
            ),
            Run(
                job="nightly",
                as_of=NIGHT,
                book="paper",
                status="succeeded",
                steps={},
                result={},
                code_commit="c" * 40,
            ),
            FeatureSnapshot(
                content_hash="0" * 64,
                input_hash="1" * 64,
                data_vintage={},
                year=2017,
                first_on=date(2017, 1, 3),
                last_on=NIGHT,
                rows=1,
                columns=[],
                file_name="2017.parquet",
            ),
        ]
    )
    session.flush()
    session.execute(text('update model_versions set manifest = \'{"features": ["momentum_21"]}\''))
    session.expire_all()
    trade_night(session, as_of=NIGHT)
    return int(session.execute(text("select order_id from orders")).scalar_one())


class TestExplainOrder:
    def test_names_every_link(self, session: Session, order_id: int) -> None:
        told = service.explain_order(session, order_id=order_id)
        assert told["order"]["symbol"] == "AAA"
        assert [step["to_state"] for step in told["order"]["timeline"]] == [
            "planned",
            "intent",
            "sending",
            "accepted",
            "filled",
        ]
        assert told["order"]["fills"][0]["session_on"] == str(NEXT)
        assert told["order"]["lots_opened"][0]["remaining"] == "1000.000000"
        assert {check["rule"] for check in told["recommendation"]["checks"]} == set(RISK_RULES)
        assert told["target"]["weight"] == "0.10000000"
        assert told["target"]["mandate"]["version"] == 1
        assert told["allocation"]["allocator"] == "equal_weight"
        assert told["score"]["rank"] == 1
        assert list(told["score"]["contributions"]) == ["momentum_21"]
        assert told["screener"]["name"] == "screener-momentum_largecap"
        assert told["screener"]["last_label_on"] < str(NIGHT)
        assert told["features"]["feature_hash"] == "0" * 64
        assert told["features"]["snapshots"][0]["file_name"] == "2017.parquet"
        assert told["regime"][0]["drivers"] == {"vix": 11.2}
        assert told["strategy_choice"]["reason"]
        assert told["runs"][0]["code_commit"] == "c" * 40

    def test_what_the_plain_rule_scored_shows_its_terms(self, session: Session, order_id: int) -> None:
        reasons = [{"feature": "momentum_252_21", "value": 0.2, "contribution": 0.4, "text": "raises the score"}]
        session.execute(
            text(
                "update score_batches set source = 'rule', model_version_id = null,"
                " source_reason = 'plain rule: no screener has been judged'"
            )
        )
        statement = text("update scores set base = 0, margin = 0.4, score = 0.9, reasons = cast(:reasons as jsonb)")
        session.execute(statement, {"reasons": json.dumps(reasons)})
        session.expire_all()
        told = service.explain_order(session, order_id=order_id)
        assert told["screener"] == {
            "name": "plain rule",
            "reason": "plain rule: no screener has been judged",
            "terms": ["momentum_252_21"],
        }
        assert told["score"]["contributions"] == {"momentum_252_21": 0.4}
        assert "no probability" in told["score"]["note"]
        assert told["features"]["snapshots"][0]["file_name"] == "2017.parquet"

    def test_costs_are_the_sum_of_their_parts(self, session: Session, order_id: int) -> None:
        costs = {
            key: D(value)
            for key, value in service.explain_order(session, order_id=order_id)["order"]["costs_usd"].items()
        }
        assert costs["total"] == costs["spread"] + costs["impact"] + costs["commission"] > 0

    def test_is_json_without_money_in_floats(self, session: Session, order_id: int) -> None:
        told = json.loads(json.dumps(service.explain_order(session, order_id=order_id)))

        def floats(value: object, path: str = "") -> list[str]:
            if isinstance(value, dict):
                return [found for key, inner in value.items() for found in floats(inner, f"{path}/{key}")]
            if isinstance(value, list):
                return [found for inner in value for found in floats(inner, path)]
            return [path] if isinstance(value, float) else []

        money = [path for path in floats(told) if any(word in path for word in ("usd", "price", "quantity", "weight"))]
        assert money == []

    def test_exit_of_a_stock_without_a_score_is_explained_too(self, session: Session, order_id: int) -> None:
        account_id = session.execute(text("select account_id from orders")).scalar_one()
        account = session.get_one(Account, account_id)
        create_target(session, account, session_on=NEXT, weights={create_priced_stock(session, "BBB"): D("0.1")})
        trade_night(session, as_of=NEXT)
        exit_id = session.execute(text("select order_id from orders where side = 'sell'")).scalar_one()
        told = service.explain_order(session, order_id=exit_id)
        assert (told["score"]["rank"], told["target"]["weight"], told["allocation"]["weight"]) == (None, "0", "0")
        assert "not among the best" in told["score"]["note"]
        assert told["order"]["lots_closed"][0]["gain_usd"]
        assert told["order"]["lots_closed"][0]["bought_by_order_id"] == order_id

    def test_takes_a_handful_of_statements(self, session: Session, order_id: int) -> None:
        seen: list[str] = []
        session.expunge_all()
        engine = session.connection().engine

        def note(*arguments: object) -> None:
            seen.append(str(arguments[2]))

        event.listen(engine, "before_cursor_execute", note)
        service.explain_order(session, order_id=order_id)
        event.remove(engine, "before_cursor_execute", note)
        assert 0 < len(seen) <= 10

    def test_unknown_order_names_known_ones(self, session: Session, order_id: int) -> None:
        with pytest.raises(InputError, match=f"order id is -1, and no such order exists; the newest are: {order_id}"):
            service.explain_order(session, order_id=-1)
