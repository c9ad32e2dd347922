"""`acis screen`: a strategy's top stocks of a session with their reasons."""

from typing import Annotated, Any

import typer

from cli.arguments import JsonFlag, parse_date, parse_strategy
from cli.output import print_json, print_table, say
from core.errors import DataMissing
from database.queries.instruments import instruments_by_id
from database.queries.scores import find_batch, top_scores
from database.session import transaction
from market_data.service import latest_session, require_session
from ml_models.service import score_night

_MEANING = {
    "model": "score = probability of beating the universe's median over the next 21 sessions",
    "rule": "score = mean rank from 0 to 1 over the plain rule's factors, unknown = 0.5; no probability",
}


def command(
    strategy: Annotated[str, typer.Argument(help="Strategy, for instance growth or growth_largecap.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Session (YYYY-MM-DD); default: the latest.")] = None,
    top: Annotated[int, typer.Option(help="How many stocks to show.", min=1, max=100)] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Show the best stocks of a strategy's screen; the session is scored first where it was not yet."""
    name = parse_strategy(strategy)
    with transaction() as session:
        day = require_session(parse_date(as_of, "--as-of")) if as_of else latest_session(session)
        score_night(session, as_of=day)
        batch = find_batch(session, session_on=day, strategy=name)
        if batch is None or batch.status == "refused":
            why = batch.reason if batch else "it was not scored"
            raise DataMissing(f"{name} has no screen on {day}: {why}")
        scores = top_scores(session, score_batch_id=batch.score_batch_id, limit=top)
        instruments = instruments_by_id(session, ids=[score.instrument_id for score in scores])
        rows: list[dict[str, Any]] = [
            {
                "rank": score.rank,
                "symbol": instruments[score.instrument_id].symbol,
                "name": instruments[score.instrument_id].name,
                "sector": instruments[score.instrument_id].sector,
                "score": score.score,
                "margin": score.margin,
                "base": score.base,
                "reasons": score.reasons,
            }
            for score in scores
        ]
        answer = {
            "strategy": name,
            "as_of": day,
            "source": batch.source,
            "source_reason": batch.source_reason,
            "model_version_id": batch.model_version_id,
            "feature_hash": batch.feature_hash,
            "universe": batch.universe_count,
            "eligible": batch.eligible_count,
            "stocks": rows,
        }
    if as_json:
        print_json(answer)
        return
    say(f"{name} on {day}: {answer['eligible']} of {answer['universe']} stocks eligible, best {len(rows)}")
    say(str(answer["source_reason"]))
    print_table(
        _MEANING[batch.source],
        [">rank", "symbol", "sector", ">score", "largest reasons"],
        [
            (
                row["rank"],
                row["symbol"],
                row["sector"] or "unknown",
                f"{row['score']:.3f}",
                "; ".join(reason["text"] for reason in row["reasons"][:2]),
            )
            for row in rows
        ],
    )
