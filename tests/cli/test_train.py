"""`acis train`: what is handed to the workers, and what is refused before anything begins."""

import pytest
from kombu.exceptions import OperationalError

import cli.commands.train
from cli.main import run
from core.jobs import Job, TrainScreener, TuneScreener
from mlops.celery_app import app


def acis(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run one command line in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["acis", *line.split()])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


class TestQueue:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
        """Jobs end here instead of in the queue."""
        found: list[Job] = []
        monkeypatch.setattr(cli.commands.train, "send", found.append)
        return found

    def test_one_job_a_strategy(self, sent: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
        line = "train screener --strategy growth,value --years 2016-2017 --algorithm lightgbm --queue"
        assert acis(line, monkeypatch) == 0
        assert sent == [
            TrainScreener(strategies=(name,), years=(2016, 2017), algorithm="lightgbm")
            for name in ("growth_largecap", "value_largecap")
        ]

    def test_a_search_a_strategy(self, sent: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
        assert acis("train screener --strategy growth --tune 12 --queue", monkeypatch) == 0
        assert sent == [TuneScreener(trials=12, strategies=("growth_largecap",))]

    def test_a_queue_that_does_not_answer_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def no_answer(*_: object, **__: object) -> None:
            raise OperationalError("connection refused")

        monkeypatch.setattr(app, "send_task", no_answer)
        assert acis("train screener --strategy growth --queue", monkeypatch) != 0
        assert "the job queue does not answer (connection refused); start it with `acis up`" in capsys.readouterr().err


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
