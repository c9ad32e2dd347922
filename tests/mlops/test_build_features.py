"""The job that builds features: refuses without bars, builds once, and never twice at the same time."""

import pytest

from core.errors import DataMissing, Refused
from core.jobs import BuildFeatures, Ticket
from database.queries.runs import exclusive_run
from database.session import transaction
from mlops.jobs.build_features import BOOK, perform, run_build_features
from tests.factories.market import create_market


@pytest.mark.usefixtures("committed_database")
class TestRunBuildFeatures:
    def test_without_bars_says_what_to_do(self) -> None:
        with pytest.raises(DataMissing, match="acis data load-sample"):
            run_build_features()

    def test_builds_once_and_alone(self) -> None:
        with transaction() as session:
            market = create_market(session)
        with exclusive_run(BuildFeatures.name, market.last_on, BOOK), pytest.raises(Refused, match="already running"):
            run_build_features()
        first = run_build_features()
        assert first.years_built
        assert first.last_on == market.last_on
        assert perform(BuildFeatures(), Ticket(1, 1, "test"))["years_built"] == ()
        again = run_build_features()
        assert again.years_built == ()
        assert set(again.years_fresh) == set(first.years_built)
