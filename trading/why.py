"""The whole "why" of a recommendation as one document, in the order in which the night decided it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from core.config import get_settings
from core.errors import NotFound
from database.queries.lineage import Chain, chain_of_recommendation, read_surroundings
from database.queries.roles import holders
from database.queries.verdicts import newest_verdict
from database.session import Session
from database.tables.models import ModelVersion
from trading.lineage import tell

_VERDICTS = {"pass": "passed the gate", "fail": "failed the gate", "not_proven": "is not proven"}


def explain_recommendation(session: Session, *, recommendation_id: int) -> dict[str, Any]:
    """From the market's regime to the rules that were checked, as plain values; NotFound for what is not there.

    Links that do not exist are None: an exit has no score, the plain rule no model.
    """
    chain = chain_of_recommendation(session, recommendation_id=recommendation_id)
    if chain is None or chain.recommendation is None:
        raise NotFound("recommendation", recommendation_id)
    told = tell(chain, read_surroundings(session, chain=chain))
    return {
        "regime": _regime(told["regime"]),
        "strategy": _strategy(chain, told),
        "score": _score(chain, told),
        "screener": _model(session, chain.screener, chain.session_on),
        "rule": told["screener"] if chain.screener is None else None,
        "allocation": _allocation(session, chain, told),
        "target": _target(chain, told),
        "rules": told["recommendation"]["checks"],
        "order": _order(told["order"]),
        "night": {"runs": told["runs"], "features": told["features"]},
    }


def _regime(regimes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The reading that the platform acts on, with its drivers as sentences; what the other detectors said beside it."""
    acts_on = get_settings().regime_detector
    chosen = next((regime for regime in regimes if regime["detector"] == acts_on), None)
    if chosen is None:
        return None
    return {
        **chosen,
        "drivers": [_driver(name, driver) for name, driver in chosen["drivers"].items()],
        "others": {regime["detector"]: regime["label"] for regime in regimes if regime is not chosen},
    }


def _driver(name: str, driver: Any) -> dict[str, Any]:
    known = driver if isinstance(driver, Mapping) else {"value": driver}
    return {"name": name, "value": known.get("value"), "sentence": known.get("sentence")}


def _strategy(chain: Chain, told: dict[str, Any]) -> dict[str, Any] | None:
    """What the account follows and why; what was chosen for the night, and how the candidates compared."""
    if chain.target is None:
        return None
    choice = told["strategy_choice"] or {"strategy": None, "reason": None, "evidence": {}}
    candidates = choice["evidence"].get("strategies", {})
    return {
        "name": chain.target.strategy,
        "reason": chain.target.reason,
        "chosen": choice["strategy"],
        "chosen_reason": choice["reason"],
        "candidates": [
            {
                "strategy": name,
                "is_available": found.get("available"),
                "refusal": found.get("refusal"),
                "affinity": found.get("affinity"),
                "realised": found.get("realised"),
                "worth": found.get("worth"),
            }
            for name, found in sorted(candidates.items(), key=lambda item: -(item[1].get("worth") or 0))
        ],
    }


def _score(chain: Chain, told: dict[str, Any]) -> dict[str, Any] | None:
    """Rank and score, and every term's part in it, the weightiest first."""
    found, batch = told["score"], chain.batch
    if found is None or batch is None:
        return None
    texts = {reason["feature"]: reason for reason in found["reasons"]}
    terms = found.get("contributions", {})
    pairs = terms.items() if isinstance(terms, Mapping) else ((f"term {n}", part) for n, part in enumerate(terms))
    parts = sorted(((name, part) for name, part in pairs if part), key=lambda pair: -abs(pair[1]))
    weight = sum(abs(part) for _, part in parts)
    return {
        "scored_by": batch.source,
        "scored_by_reason": batch.source_reason,
        "rank": found["rank"],
        "score": found["score"],
        "base": found.get("base"),
        "margin": found.get("margin"),
        "note": found.get("note"),
        "scored_count": batch.scored_count,
        "eligible_count": batch.eligible_count,
        "contributions": [
            {
                "feature": name,
                "value": texts.get(name, {}).get("value"),
                "contribution": part,
                "share": abs(part) / weight,
                "text": texts.get(name, {}).get("text"),
            }
            for name, part in parts
        ],
    }


def _model(session: Session, model: ModelVersion | None, as_of: date) -> dict[str, Any] | None:
    """A model with its roles and the gate's word on it, as they were on the night."""
    if model is None:
        return None
    seats = {role: holders(session, kind=model.kind, role=role, as_of=as_of) for role in ("champion", "challenger")}
    held = (role for role, seat in seats.items() if model.strategy in seat)
    verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=as_of)
    return {
        "model_version_id": model.model_version_id,
        "name": model.name,
        "version": model.version,
        "algorithm": model.algorithm,
        "train_from_on": model.train_from_on,
        "train_to_on": model.train_to_on,
        "valid_from_on": model.valid_from_on,
        "valid_to_on": model.valid_to_on,
        "artefact_sha256": model.artefact_sha256,
        "code_commit": model.code_commit,
        "aliases": [role for role in held if seats[role][model.strategy].model_version_id == model.model_version_id],
        "gate": None
        if verdict is None
        else {
            "as_of": verdict.as_of,
            "verdict": verdict.verdict,
            "sentence": f"{model.name} version {model.version} {_VERDICTS[verdict.verdict]}: {verdict.reason}",
            "trials": verdict.trials,
            "checks": [
                {"name": check.get("name"), "status": check.get("status"), "sentence": check.get("sentence")}
                for check in verdict.checks
            ],
        },
    }


def _allocation(session: Session, chain: Chain, told: dict[str, Any]) -> dict[str, Any] | None:
    found = told["allocation"]
    if found is None:
        return None
    return {
        "allocator": found["allocator"],
        "reason": found["reason"],
        "weight": found["weight"],
        "cash_weight": found["cash_weight"],
        "model": _model(session, chain.allocator, chain.session_on),
    }


def _target(chain: Chain, told: dict[str, Any]) -> dict[str, Any] | None:
    """The weight under the client's mandate, and what of the mandate moved this stock or the whole portfolio."""
    found = told["target"]
    if found is None:
        return None
    own = (None, chain.instrument.instrument_id)
    return {
        "weight": found["weight"],
        "cash_weight": found["cash_weight"],
        "adjustments": [
            {name: step.get(name) for name in ("kind", "before", "after", "reason")}
            for step in found["adjustments"]
            if step.get("instrument_id") in own
        ],
        "mandate": found["mandate"],
    }


def _order(order: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if order is None else {name: order[name] for name in ("order_id", "state", "filled_quantity")}
