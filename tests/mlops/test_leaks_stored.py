"""Probes of stored rows: real reads as of a day, dates of knowledge, trained folds."""

from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest

from database.session import transaction
from database.tables.models import ModelVersion
from mlops.leaks import stored
from mlops.leaks.stored import PROBES, Stored
from quant.guards import Checked
from tests.factories.market import create_market
from tests.factories.models import make_model

LAST_ON = date(2017, 6, 30)
BY_NAME = {probe.name: probe for probe in PROBES}


@pytest.fixture(scope="module", autouse=True)
def market(committed_database: str) -> None:
    with transaction() as session:
        create_market(session, instruments=20, sessions=300, last_on=LAST_ON)


def run(name: str) -> Checked:
    return BY_NAME[name].run(Stored(LAST_ON))


def changed(monkeypatch: pytest.MonkeyPatch, read: str, change: Callable[[pl.DataFrame, date], pl.DataFrame]) -> None:
    """Make one of the reads answer something else."""
    honest = getattr(stored, read)

    def wrongly(*, as_of: date, **options: Any) -> pl.DataFrame:
        return change(honest(as_of=as_of, **options), as_of)

    monkeypatch.setattr(stored, read, wrongly)


class TestData:
    def test_reads_as_of_a_day_are_clean(self) -> None:
        checked = run("stored-data")
        assert checked.status == "clean"
        assert "20 stocks" in checked.looked_at

    def test_history_rewritten_in_place_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def restated(facts: pl.DataFrame, as_of: date) -> pl.DataFrame:
            return facts.with_columns(pl.col("value") * (1.5 if as_of == LAST_ON else 1.0))

        changed(monkeypatch, "read_facts", restated)
        found = run("stored-data").findings
        assert any(finding.where == "features.sales_to_price" for finding in found)


class TestStamps:
    def test_dates_of_knowledge_are_clean(self) -> None:
        assert run("stored-stamps").status == "clean"

    def test_reports_and_yields_that_are_known_too_early_are_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changed(
            monkeypatch,
            "read_facts",
            lambda rows, _: rows.with_columns(known_on=pl.col("period_end_on").dt.offset_by("-1d")),
        )
        changed(monkeypatch, "read_macro", lambda rows, _: rows.with_columns(known_on="observed_on"))
        found = {finding.where for finding in run("stored-stamps").findings}
        # The VIX and the index are known on the evening of their own session.
        assert found == {"reports", "DGS3MO", "DGS2", "DGS10"}


class TestFolds:
    MANIFEST = {"label_sessions": 21, "validation_from_on": "2016-07-06"}  # noqa: RUF012 read only

    def judged(self, monkeypatch: pytest.MonkeyPatch, model: ModelVersion) -> Checked:
        monkeypatch.setattr(stored, "newest_folds", lambda session, kind: [model] if kind == "screener" else [])
        return run("stored-folds")

    def test_purged_fold_is_clean(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checked = self.judged(monkeypatch, make_model(manifest=self.MANIFEST))
        assert checked.status == "clean"
        assert checked.looked_at.startswith("1 folds, 1 of them")

    def test_training_that_reaches_into_the_embargo_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = make_model(manifest=self.MANIFEST, train_to_on=date(2016, 5, 20))
        (found,) = self.judged(monkeypatch, model).findings
        assert found.where == "training rows of screener-momentum_largecap of 2017"

    def test_labels_that_end_in_the_year_served_are_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = make_model(manifest=self.MANIFEST, last_label_on=date(2017, 1, 3))
        (found,) = self.judged(monkeypatch, model).findings
        assert "learned up to 2017-01-03" in found.text

    def test_allocator_chosen_on_what_it_learned_from_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chosen: dict[str, Any] = {
            "train_to_on": date(2015, 12, 30),
            "metrics": {"validation": {"from_on": "2015-12-30"}},
        }
        (found,) = self.judged(monkeypatch, make_model(kind="allocator", **chosen)).findings
        assert found.where == "training rows of allocator-momentum_largecap of 2017"
        chosen["metrics"] = {"validation": {"from_on": "2016-01-04"}}
        assert self.judged(monkeypatch, make_model(kind="allocator", **chosen)).status == "clean"

    @pytest.mark.parametrize("name", ["stored-folds", "stored-scores", "stored-nights", "stored-fills"])
    def test_what_is_not_there_is_not_clean(self, name: str) -> None:
        checked = run(name)
        assert checked.status == "not_run"
        assert "`acis " in str(checked.blind)
