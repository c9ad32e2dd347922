"""The leak probes of what is stored: real data, trained folds, out-of-fold scores, nights and fills."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from database.queries.bars import last_session_on, read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.fundamentals import read_facts
from database.queries.index_memberships import read_memberships
from database.queries.instruments import read_instruments, read_market_caps
from database.queries.leak_audits import Untimely, early_fills, misplaced_models, misplaced_scores
from database.queries.macro_series import read_macro
from database.queries.models import newest_folds
from database.session import transaction
from database.tables.models import ModelVersion
from features.build import LOOK_BACK_DAYS
from features.facts import SHARES
from features.history import MACRO_LAG_DAYS
from features.library import FEATURES
from market_data.calendars import sessions_between
from mlops.leaks.path import DecisionPath
from quant.guards import Checked, Finding, Frames, Probe, departures, probe_spans, probe_stamps, quietly

# The features of a day compare stocks; a part of them compares as well and costs less.
_STOCKS_MAX = 120
# Before the bars: what a detector needs to have learned from, without a fit for every year since the series began.
_REGIME_HISTORY = timedelta(days=1200)
_NO_BARS = "no bars are loaded: `acis data load-sample`"


@dataclass(frozen=True)
class Stored:
    """What is stored up to `as_of`; real data are cut at `cuts` sessions of the last two years."""

    as_of: date
    cuts: int = 1


def _data(stored: Stored) -> Checked:
    """The queries and the early stages together: reads as of t against the rows up to t of reads as of later."""
    with transaction() as session:
        last_on = last_session_on(session, as_of=stored.as_of)
    if last_on is None:
        return Checked("", (), _NO_BARS)
    sessions = sessions_between(last_on - timedelta(days=365), last_on)
    cuts = [sessions[place] for place in np.linspace(len(sessions) // 3, len(sessions) - 22, stored.cuts).astype(int)]
    first_on = min(cuts) - timedelta(days=LOOK_BACK_DAYS)
    ids = read_bars(as_of=last_on, first_on=last_on - timedelta(days=7), columns=("close",))["instrument_id"].unique()
    ids = ids.sort().gather_every(max(len(ids) // _STOCKS_MAX, 1))
    if read_market_caps(as_of=last_on).is_empty():
        return Checked("", (), "no reports are loaded: `acis data load-sample`")
    path = DecisionPath(until="regimes")
    whole = quietly(path.decide, _read(last_on, first_on, ids))
    found: list[Finding] = []
    for cut in cuts:
        part = quietly(path.decide, _read(cut, first_on, ids))
        found += departures(whole, part, last_on=cut, how=f"data are read as of {cut} instead of {last_on}")
    rows = sum(len(frame) for frame in whole.values())
    looked_at = f"{rows:,} rows of {len(ids)} stocks read as of {last_on} and as of {', '.join(map(str, cuts))}"
    return Checked(looked_at, tuple(found))


def _read(as_of: date, first_on: date, ids: pl.Series) -> Frames:
    """The tables as the platform reads them, of some stocks."""
    items = {name for feature in FEATURES.values() for name in feature.inputs} - {SHARES}
    wanted = pl.col("instrument_id").is_in(ids.implode())
    frames = {
        "bars": read_bars(as_of=as_of, first_on=first_on),
        "instruments": read_instruments(),
        "memberships": read_memberships(as_of=as_of),
        "dividends": read_dividends(as_of=as_of),
        "facts": read_facts(as_of=as_of).filter(pl.col("item").is_in(sorted(items))),
        "shares": read_market_caps(as_of=as_of),
    }
    macro = read_macro(as_of=as_of).filter(pl.col("observed_on") >= first_on - _REGIME_HISTORY)
    return {**{name: frame.filter(wanted) for name, frame in frames.items()}, "macro": macro}


def _stamps(stored: Stored) -> Checked:
    macro = read_macro(as_of=stored.as_of)
    facts, shares = read_facts(as_of=stored.as_of), read_market_caps(as_of=stored.as_of)
    if macro.is_empty() and facts.is_empty():
        return Checked("", (), "no reports and no macro series are loaded: `acis data load-sample`")
    found = [
        *probe_stamps(facts, measured_on="period_end_on", known_on="known_on", lag_days=0, what="reports"),
        *probe_stamps(shares, measured_on="period_end_on", known_on="known_on", lag_days=0, what="share counts"),
    ]
    for (series,), rows in macro.group_by("series"):
        lag_days = MACRO_LAG_DAYS.get(str(series), 0)
        found += probe_stamps(rows, measured_on="observed_on", known_on="known_on", lag_days=lag_days, what=str(series))
    return Checked(
        f"{len(facts):,} reported facts, {len(shares):,} share counts, {len(macro):,} observations", tuple(found)
    )


def _folds(stored: Stored) -> Checked:
    with transaction() as session:
        models = [model for kind in ("screener", "allocator") for model in newest_folds(session, kind=kind)]
    models = [model for model in models if model.valid_from_on <= stored.as_of]
    if not models:
        return Checked("", (), "no model is trained yet: `acis train screener`")
    found: list[Finding] = []
    windows = 0
    for model in models:
        name = f"{model.name} of {model.valid_from_on.year}"
        if model.train_to_on >= model.valid_from_on or model.last_label_on >= model.valid_from_on:
            found.append(Finding(name, f"{name} learned up to {model.last_label_on}, inside the year that it serves"))
        window = _validation_of(model)
        if window is None:
            continue
        windows += 1
        validation_on, label_sessions = window
        between = len(sessions_between(model.train_to_on, validation_on)) - 1
        span, validation = (np.array([0]), np.array([label_sessions])), (np.array([between]), np.array([between]))
        found += probe_spans(span, validation, embargo_sessions=label_sessions, what=f"training rows of {name}")
    return Checked(f"{len(models)} folds, {windows} of them with a validation window of their own", tuple(found))


def _validation_of(model: ModelVersion) -> tuple[date, int] | None:
    """First day of what stopped or chose a model, and the sessions that its labels look ahead; None without one.

    An allocator's last lesson is looked at and never traded, so what it learned from ends with its training.
    """
    if model.kind == "screener":
        validation_on, label_sessions = (model.manifest.get(key) for key in ("validation_from_on", "label_sessions"))
    else:
        validation_on, label_sessions = (model.metrics.get("validation") or {}).get("from_on"), 0
    if validation_on is None or label_sessions is None:
        return None
    return date.fromisoformat(validation_on), int(label_sessions)


def _untimely(what: str, untimely: Untimely, remedy: str) -> Checked:
    if not untimely.rows:
        return Checked("", (), remedy)
    found = [Finding(what, f"{untimely.early} of {untimely.rows:,} {what}, first: {untimely.first}")]
    return Checked(f"{untimely.rows:,} rows", tuple(found) if untimely.early else ())


def _out_of_fold(stored: Stored) -> Checked:
    with transaction() as session:
        untimely = misplaced_scores(session, as_of=stored.as_of)
    return _untimely(
        "out-of-fold sessions that the model had seen or does not serve",
        untimely,
        "there are no out-of-fold scores yet: `acis train screener`",
    )


def _nights(stored: Stored) -> Checked:
    with transaction() as session:
        untimely = misplaced_models(session, as_of=stored.as_of)
    return _untimely(
        "nights by a model that was not to serve them",
        untimely,
        "no night has been scored by a model yet: `acis nightly`",
    )


def _fills(stored: Stored) -> Checked:
    with transaction() as session:
        untimely = early_fills(session, as_of=stored.as_of)
    return _untimely(
        "fills not later than the night that decided them", untimely, "there are no fills yet: `acis nightly`"
    )


PROBES: tuple[Probe[Stored], ...] = (
    Probe(
        "stored-data",
        "On real data, features and regimes up to a day are the same read as of that day and read as of today.",
        _data,
        is_required=False,
    ),
    Probe(
        "stored-stamps",
        "No stored report, share count, yield or index counts as known before what it measures was over and published.",
        _stamps,
        is_required=False,
    ),
    Probe(
        "stored-folds",
        "Every trained fold ended its labels before the year that it serves, and its training an embargo before.",
        _folds,
        is_required=False,
    ),
    Probe(
        "stored-scores",
        "Every out-of-fold score is of a session after the model's last label, inside its year.",
        _out_of_fold,
        is_required=False,
    ),
    Probe("stored-nights", "Every night was scored and weighed by models that were to serve it.", _nights, False),
    Probe("stored-fills", "Every fill is of a later session than the night that decided it.", _fills, False),
)
