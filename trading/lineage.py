"""From any order or recommendation back to why it exists: a document that a person and a program can read."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.errors import InputError
from core.money import ZERO, money
from database.queries.lineage import Chain, Surroundings, chain_of_order, newest_order_ids, read_surroundings
from database.session import Session
from database.tables.models import ModelVersion

_MODEL = (
    "model_version_id",
    "name",
    "version",
    "train_from_on",
    "train_to_on",
    "last_label_on",
    "valid_from_on",
    "valid_to_on",
    "input_hash",
    "feature_hash",
    "artefact_dir",
    "artefact_sha256",
    "code_commit",
    "tracking_run_id",
    "metrics",
)
_MANDATE = (
    "version",
    "effective_on",
    "cash_weight_min",
    "position_weight_max",
    "sector_weight_max",
    "drift_threshold",
    "turnover_max",
    "trade_usd_min",
    "preferred_strategy",
)


def explain(session: Session, *, order_id: int) -> dict[str, Any]:
    """The order's whole chain as plain values (amounts and dates as text); raises InputError for an unknown id."""
    chain = chain_of_order(session, order_id=order_id)
    if chain is None:
        newest = ", ".join(str(key) for key in newest_order_ids(session))
        raise InputError(f"order id is {order_id}, and no such order exists; the newest are: {newest or 'none yet'}")
    return tell(chain, read_surroundings(session, chain=chain))


def tell(chain: Chain, around: Surroundings) -> dict[str, Any]:
    """The chain as plain values, link by link; links that do not exist are None."""
    return {
        "order": _order(chain, around),
        "recommendation": _recommendation(chain, around),
        "target": _target(chain),
        "allocation": _allocation(chain),
        "score": _score(chain),
        "screener": _model(chain.screener) or _rule(chain),
        "features": _features(chain, around),
        "regime": [
            _fields(
                regime, "detector", "label", "raw_label", "probabilities", "drivers", "detector_version", "data_vintage"
            )
            for regime in around.regimes
        ],
        "strategy_choice": _fields(chain.choice, "strategy", "regime", "reason", "evidence"),
        "runs": [
            _fields(run, "run_id", "job", "status", "attempt", "code_commit", "started_at") for run in around.runs
        ],
    }


def _order(chain: Chain, around: Surroundings) -> dict[str, Any] | None:
    order = chain.order
    if order is None:
        return None
    spread = sum((fill.spread_cost_usd for fill in around.fills), ZERO)
    impact = sum((fill.impact_cost_usd for fill in around.fills), ZERO)
    commission = sum((fill.commission_usd for fill in around.fills), ZERO)
    return {
        **_row(order, "order_id", "client_order_id", "broker", "broker_order_id", "session_on", "side", "state"),
        "client": chain.client.name,
        "account_id": chain.account.account_id,
        "book": chain.account.book,
        "symbol": chain.instrument.symbol,
        "sector": chain.instrument.sector,
        "quantity": _plain(order.quantity),
        "filled_quantity": _plain(order.filled_quantity),
        "timeline": [_fields(event, "at", "from_state", "to_state", "evidence") for event in around.events],
        "fills": [
            {
                **_row(fill, "fill_id", "broker_fill_id", "session_on", "quantity", "market_price", "price"),
                "notional_usd": _plain(money(fill.quantity * fill.price)),
            }
            for fill in around.fills
        ],
        "costs_usd": {
            "spread": _plain(spread),
            "impact": _plain(impact),
            "commission": _plain(commission),
            "total": _plain(spread + impact + commission),
        },
        "lots_opened": [_fields(lot, "lot_id", "quantity", "cost_usd", "remaining") for lot in around.lots],
        "lots_closed": [
            {
                **(_fields(closing, "lot_id", "quantity", "cost_usd", "proceeds_usd", "gain_usd") or {}),
                "bought_by_order_id": around.bought_by.get(closing.lot_id),
            }
            for closing in around.closings
        ],
    }


def _recommendation(chain: Chain, around: Surroundings) -> dict[str, Any] | None:
    found = _fields(
        chain.recommendation,
        "recommendation_id",
        "reason",
        "status",
        "reference_price",
        "weight_before",
        "weight_after",
        "decided_by",
        "decided_at",
    )
    if found is not None:
        found["checks"] = [_fields(check, "rule", "passed", "measured", "allowed", "reason") for check in around.checks]
    return found


def _target(chain: Chain) -> dict[str, Any] | None:
    found = _fields(chain.target, "target_id", "strategy", "reason", "cash_weight", "adjustments")
    if found is not None:
        found["weight"] = "0" if chain.target_weight is None else _plain(chain.target_weight.weight)
        found["mandate"] = _fields(chain.mandate, *_MANDATE)
    return found


def _allocation(chain: Chain) -> dict[str, Any] | None:
    found = _fields(
        chain.allocation, "allocation_id", "strategy", "allocator", "reason", "regime", "cash_weight", "diagnostics"
    )
    if found is not None:
        found["weight"] = "0" if chain.allocation_weight is None else _plain(chain.allocation_weight.weight)
        found["model"] = _model(chain.allocator)
    return found


def _score(chain: Chain) -> dict[str, Any] | None:
    """Rank, score and reasons; for a stock that the night's screen no longer names (an exit), that it does not."""
    if chain.score is None and chain.batch is not None:
        return {
            "rank": None,
            "score": None,
            "reasons": [],
            "note": f"not among the best {chain.batch.scored_count} of the {chain.batch.eligible_count} stocks that the"
            " screen looked at; `lots_closed` names the orders that bought it, for their reasons",
        }
    found = _fields(chain.score, "rank", "score", "margin", "base", "reasons")
    if found is None or chain.score is None:
        return None
    if chain.screener is None:
        found["note"] = "a mean rank from 0 to 1 over the plain rule's factors, no probability; unknown is 0.5"
        # A rule has no more terms than reasons are kept.
        found["contributions"] = {reason["feature"]: reason["contribution"] for reason in chain.score.reasons}
        return found
    names = chain.screener.manifest.get("features", [])
    found["contributions"] = (
        dict(zip(names, chain.score.contributions, strict=True))
        if len(names) == len(chain.score.contributions)
        else chain.score.contributions
    )
    return found


def _rule(chain: Chain) -> dict[str, Any] | None:
    """The plain rule in the place of a model: why it scored, and the factors that spoke for or against the stock."""
    if chain.batch is None or chain.batch.status == "refused":
        return None
    terms = [reason["feature"] for reason in chain.score.reasons] if chain.score else []
    return {"name": "plain rule", "reason": chain.batch.source_reason, "terms": terms}


def _features(chain: Chain, around: Surroundings) -> dict[str, Any] | None:
    found = _fields(chain.batch, "feature_hash", "data_vintage", "universe_count", "eligible_count", "scored_count")
    if found is not None:
        found["snapshots"] = [
            _fields(snapshot, "snapshot_id", "year", "first_on", "last_on", "rows", "file_name", "input_hash")
            for snapshot in around.snapshots
        ]
    return found


def _model(version: ModelVersion | None) -> dict[str, Any] | None:
    found = _fields(version, *_MODEL)
    if found is not None and version is not None:
        found["manifest"] = version.manifest
    return found


def _row(row: Any, *names: str) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in names}


def _fields(row: Any, *names: str) -> dict[str, Any] | None:
    return None if row is None else _row(row, *names)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
