"""Rows of the registry as the columns that charts draw."""

from collections.abc import Mapping, Sequence

from api.schemas.models import FoldImportanceOut, ImportancesOut, MeasureOut, ReturnSeriesOut
from database.queries.trials import ReturnSeries
from database.tables.drift import DriftReading
from database.tables.models import ModelVersion


def series_of(found: Mapping[str, ReturnSeries]) -> list[ReturnSeriesOut]:
    """Each series with its days and returns, in the order given."""
    return [
        ReturnSeriesOut(
            series=name,
            sessions=values.sessions.astype("datetime64[D]").tolist(),
            returns=values.returns.tolist(),
        )
        for name, values in found.items()
    ]


def measures(rows: Sequence[DriftReading]) -> list[MeasureOut]:
    """Readings (by session) as one column set a measure."""
    grouped: dict[str, list[DriftReading]] = {}
    for row in rows:
        grouped.setdefault(row.measure, []).append(row)
    return [
        MeasureOut(
            measure=measure,
            threshold=own[-1].threshold,
            summary=own[-1].summary,
            sessions=[row.session_on for row in own],
            values=[row.value for row in own],
            p_values=[row.p_value for row in own],
            alarms=[row.is_alarm for row in own],
        )
        for measure, own in sorted(grouped.items())
    ]


def importances(name: str, versions: Sequence[ModelVersion], limit: int) -> ImportancesOut:
    """Importance by feature and fold: of each fold its newest version that has any."""
    newest = {
        model.valid_from_on: model
        for model in sorted(versions, key=lambda model: model.version)
        if model.metrics.get("importance")
    }
    folds = [newest[day] for day in sorted(newest)]
    used = [model.metrics["importance"] for model in folds]
    features = sorted({feature for one in used for feature in one})
    rows = [
        FoldImportanceOut(
            feature=feature,
            mean=sum(one.get(feature, 0.0) for one in used) / len(used),
            by_fold=[one.get(feature) for one in used],
        )
        for feature in features
    ]
    return ImportancesOut(
        name=name,
        folds=[model.valid_from_on for model in folds],
        versions=[model.version for model in folds],
        features=sorted(rows, key=lambda row: (-row.mean, row.feature))[:limit],
    )
