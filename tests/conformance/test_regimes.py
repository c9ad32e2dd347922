"""What every regime detector promises, on the shipped real data: probabilities, causality, calm, and the crashes."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from core.config import REPOSITORY
from database.tables.regimes import LABELS
from quant.regime_inputs import INPUTS, compute_inputs
from quant.regimes import DETECTORS

SAMPLE_DIR = REPOSITORY / "market_data" / "sample"
FIRST_ON = date(2006, 1, 3)
CRASHES = {
    "Lehman": (date(2008, 10, 1), date(2008, 10, 31)),
    "downgrade of the United States": (date(2011, 8, 1), date(2011, 8, 31)),
    "pandemic": (date(2020, 3, 1), date(2020, 3, 31)),
}
FLIPS_A_YEAR_MAX = 12


def _sample(*, since: date) -> dict[str, pl.DataFrame]:
    """The shipped data in the shape in which the queries return them."""
    instruments = pl.read_parquet(SAMPLE_DIR / "instruments.parquet").with_row_index("instrument_id")
    ids = instruments.select("symbol", pl.col("instrument_id").cast(pl.Int32))
    macro = pl.read_parquet(SAMPLE_DIR / "macro_observations.parquet").sort("series", "observed_on")
    later = pl.col("observed_on").shift(-1).over("series")
    lagged = pl.when(pl.col("series").str.starts_with("DGS")).then(later).otherwise(pl.col("observed_on"))
    return {
        "bars": pl.read_parquet(SAMPLE_DIR / "daily_bars.parquet", columns=["symbol", "session_on", "adj_close"])
        .filter(pl.col("session_on") >= since)
        .join(ids, on="symbol")
        .select("instrument_id", "session_on", pl.col("adj_close").cast(pl.Float64))
        .sort("instrument_id", "session_on"),
        "memberships": pl.read_parquet(SAMPLE_DIR / "index_memberships.parquet").join(ids, on="symbol").drop("symbol"),
        "instruments": instruments.select(pl.col("instrument_id").cast(pl.Int32), "sector"),
        "macro": macro.with_columns(known_on=lagged).drop_nulls("known_on"),
    }


@pytest.fixture(scope="module")
def inputs() -> pl.DataFrame:
    """The inputs of the whole sample."""
    return compute_inputs(**_sample(since=FIRST_ON))


@pytest.fixture(scope="module")
def readings(inputs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What each detector says about every session of the bars."""
    return {
        name: detector.detect(inputs).filter(pl.col("session_on") >= FIRST_ON) for name, detector in DETECTORS.items()
    }


@pytest.mark.parametrize("name", DETECTORS)
class TestEveryDetector:
    def test_every_session_is_read(self, name: str, readings: dict[str, pl.DataFrame], inputs: pl.DataFrame) -> None:
        wanted = inputs.filter(pl.col("session_on") >= FIRST_ON)["session_on"]
        assert readings[name]["session_on"].to_list() == wanted.to_list()

    def test_probabilities_sum_to_one(self, name: str, readings: dict[str, pl.DataFrame]) -> None:
        probabilities = readings[name].select(LABELS).to_numpy()
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)

    def test_labels_are_the_five(self, name: str, readings: dict[str, pl.DataFrame]) -> None:
        assert set(readings[name]["label"]) == set(LABELS), "a label that never comes up says nothing"
        assert set(readings[name]["raw_label"]) <= set(LABELS)

    @pytest.mark.parametrize("crash", CRASHES)
    def test_a_crash_is_never_called_bull_or_calm(
        self, name: str, crash: str, readings: dict[str, pl.DataFrame]
    ) -> None:
        days = readings[name].filter(pl.col("session_on").is_between(*CRASHES[crash]))
        assert len(days) > 20
        assert not set(days["label"]) & {"bull", "low_volatility"}

    def test_years_of_calm_rise_are_not_called_bear(self, name: str, readings: dict[str, pl.DataFrame]) -> None:
        calm = readings[name].filter(pl.col("session_on").dt.year().is_in([2013, 2017]))
        assert (calm["label"] == "bear").sum() == 0
        assert calm["label"].is_in(["bull", "low_volatility"]).sum() > 0.75 * len(calm)

    def test_label_does_not_flutter(self, name: str, readings: dict[str, pl.DataFrame]) -> None:
        flips = (
            readings[name]
            .with_columns(flip=pl.col("label") != pl.col("label").shift(1), year=pl.col("session_on").dt.year())
            .group_by("year")
            .agg(pl.col("flip").sum())["flip"]
            .to_list()
        )
        assert max(flips) <= FLIPS_A_YEAR_MAX
        assert sum(flips) / len(flips) <= 8

    def test_the_future_changes_nothing_before_it(
        self, name: str, inputs: pl.DataFrame, readings: dict[str, pl.DataFrame]
    ) -> None:
        detector = DETECTORS[name]
        later = inputs.filter(pl.col("session_on") >= date(2004, 1, 1))
        whole = detector.detect(later)
        source = np.random.default_rng(7)
        for cut in source.choice(np.arange(1600, len(later)), size=3, replace=False):
            day = later["session_on"][int(cut)]
            known = whole.filter(pl.col("session_on") <= day)
            assert detector.detect(later[: int(cut) + 1]).equals(known), f"cut off after {day}"
        # The same with a future that is there but absurd.
        absurd = later.with_columns(
            pl.when(pl.int_range(pl.len()) > 2500).then(pl.lit(1e6)).otherwise(pl.col(column)).alias(column)
            for column in INPUTS
        )
        sane = pl.col("session_on") <= later["session_on"][2500]
        assert detector.detect(absurd).filter(sane).equals(whole.filter(sane))

    def test_unknown_inputs_are_not_read(self, name: str, inputs: pl.DataFrame) -> None:
        early = inputs[:2000].with_columns(
            pl.when(pl.int_range(pl.len()) == 1500).then(None).otherwise(pl.col("vix")).alias("vix")
        )
        read = DETECTORS[name].detect(early)["session_on"].to_list()
        assert early["session_on"][1500] not in read
        assert early["session_on"][1501] in read

    def test_key_is_the_name_and_version_says_so(self, name: str) -> None:
        assert DETECTORS[name].name == name
        assert DETECTORS[name].version.startswith(name)
        assert set(DETECTORS[name].reads) <= set(INPUTS)


class TestComputeInputs:
    def test_the_future_changes_nothing_before_it(self) -> None:
        """Bars, memberships and observations that were not known on the evening of the cut are taken away."""
        sample = _sample(since=date(2015, 6, 1))
        whole = compute_inputs(**sample)
        for cut in (date(2016, 6, 24), date(2018, 2, 5), date(2019, 12, 31)):
            known = {
                **sample,
                "bars": sample["bars"].filter(pl.col("session_on") <= cut),
                "memberships": sample["memberships"]
                .filter(pl.col("start_on") <= cut)
                .with_columns(pl.when(pl.col("end_on") <= cut).then(pl.col("end_on")).alias("end_on")),
                "macro": sample["macro"].filter(pl.col("known_on") <= cut),
            }
            assert compute_inputs(**known).equals(whole.filter(pl.col("session_on") <= cut))
