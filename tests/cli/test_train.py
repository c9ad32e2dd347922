"""`acis train`: what is handed to the workers, and what is refused before anything begins."""

import pytest
from sqlalchemy import text

from cli.main import run
from core.jobs import KINDS, Job, TrainScreener, TuneScreener
from database.session import transaction


def acis(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run one command line in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["acis", *line.split()])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


@pytest.mark.usefixtures("committed_database")
class TestQueue:
    def asked(self) -> list[Job]:
        """The jobs that were asked for, in order; from here on there are none."""
        with transaction() as session:
            rows = session.execute(text("delete from jobs returning job_id, name, payload")).all()
        return [KINDS[row.name].model_validate(row.payload) for row in sorted(rows, key=lambda row: row.job_id)]

    def test_one_job_a_strategy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = "train screener --strategy growth,value --years 2016-2017 --algorithm lightgbm --queue"
        assert acis(line, monkeypatch) == 0
        assert self.asked() == [
            TrainScreener(strategies=(name,), years=(2016, 2017), algorithm="lightgbm")
            for name in ("growth_largecap", "value_largecap")
        ]

    def test_a_search_a_strategy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert acis("train screener --strategy growth --tune 12 --queue", monkeypatch) == 0
        assert self.asked() == [TuneScreener(trials=12, strategies=("growth_largecap",))]


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("train screener --algorithm pickle", "unknown algorithm 'pickle'; known: elastic_net, ensemble, lightgbm"),
            ("train screener --tune 5 --full", "--tune searches with weekly rows: leave --full away"),
            ("train compare --algorithms magic", "unknown algorithm 'magic'"),
        ],
    )
    def test_one_line_and_exit_code_2(
        self, line: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert acis(line, monkeypatch) == 2
        assert message in capsys.readouterr().err
