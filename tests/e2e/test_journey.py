"""An advisor's evening with curl alone: everything as `acis up` starts it, on a synthetic market's night.

Sign in, list clients, read why a trade is proposed, approve it, watch the job, see the fill, download the trades.
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from clients.service import Opening, add_client
from core.config import child_environment
from database.session import transaction
from mlops.jobs.build_features import run_build_features
from mlops.jobs.nightly import run_nightly
from tests.cli.test_up import free_port
from tests.factories.market import create_market
from tests.mlops.test_process import wait_for
from trading.service import open_paper_account

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.enable_socket]

NIGHT = date(2017, 6, 30)
UP = [sys.executable, "-c", "from cli.main import run; run()", "up"]


@dataclass(frozen=True)
class Desk:
    """One person's way to call the service: the curl of the README."""

    address: str
    token: str

    def curl(self, path: str, *words: str) -> str:
        """What curl prints; it fails on an answer of 400 and above."""
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60"),
                *("--header", f"Authorization: Bearer {self.token}", *words, f"{self.address}/api/v1{path}"),
            ],
            capture_output=True,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode("utf-8-sig")

    def json(self, path: str, *words: str) -> Any:
        """The same, read."""
        return json.loads(self.curl(path, *words))


@pytest.fixture(scope="module")
def firm(committed_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(address, what `acis up` printed): one night is over, and both clients' advisors must approve its trades."""
    with transaction() as session:
        create_market(session, instruments=60, sessions=600, last_on=date(2017, 7, 14))
    run_build_features()
    with transaction() as session:
        for name in ("Ada", "Ben"):
            opening = Opening(opened_on=NIGHT, autonomous=False)
            _, account = add_client(session, household=name, name=name, opening=opening)
            assert account is not None
            open_paper_account(session, account_id=account.account_id)
    run_nightly(as_of=NIGHT)
    port = free_port()
    output = tmp_path_factory.mktemp("up") / "up.out"
    environment = child_environment(
        ACIS_ENVIRONMENT="dev",
        ACIS_API_PORT=str(port),
        ACIS_API_PROCESSES="1",
        ACIS_MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )
    with output.open("wb") as file:
        process = subprocess.Popen(UP, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for(lambda: "told this once" in output.read_text() or process.poll() is not None, 120)
        assert process.poll() is None, output.read_text()
        yield f"http://127.0.0.1:{port}", output.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def sign_in(firm: tuple[str, str], name: str) -> Desk:
    """A desk for one of the sample people, with the password that `acis up` told."""
    address, printed = firm
    found = re.search(rf"({name}@sample\.example)\W+\w+\W+(\S+)", printed)
    assert found, printed
    answer = subprocess.run(
        ["curl", "--silent", "--user", f"{found[1]}:{found[2]}", "--request", "POST", f"{address}/api/v1/auth/token"],
        capture_output=True,
        text=True,
    )
    return Desk(address, json.loads(answer.stdout)["access_token"])


class TestJourney:
    def test_from_sign_in_to_the_file_of_trades(self, firm: tuple[str, str]) -> None:
        desk, other = sign_in(firm, "alex"), sign_in(firm, "nora")
        (client,) = desk.json("/clients")["items"]
        assert [row["name"] for row in other.json("/clients")["items"]] != [client["name"]]

        waiting = desk.json("/recommendations?status=proposed&limit=500")["items"]
        assert waiting
        assert {row["client_id"] for row in waiting} == {client["client_id"]}
        chosen = waiting[0]["recommendation_id"]
        why = desk.json(f"/recommendations/{chosen}")["why"]
        assert why["regime"]["label"]
        assert why["score"]["contributions"]
        assert all(rule["passed"] for rule in why["rules"])

        key = ("--header", "Idempotency-Key: evening-1", "--request", "POST")
        approved = desk.json(f"/recommendations/{chosen}/approval", *key)
        assert desk.json(f"/recommendations/{chosen}/approval", *key) == approved

        events = desk.curl(f"/jobs/{approved['job_id']}/events", "--no-buffer")
        assert '"succeeded"' in events
        assert [int(number) for number in re.findall(r"^id: (\d+)$", events, re.MULTILINE)] == list(
            range(1, events.count("\nid: ") + events.startswith("id: ") + 1)
        )

        (order_id,) = approved["order_ids"]
        order = desk.json(f"/orders/{order_id}")
        assert order["state"] == "filled"
        (fill,) = desk.json(f"/fills?order_id={order_id}")["items"]
        assert fill["quantity"] == order["quantity"]

        trades = list(csv.DictReader(io.StringIO(desk.curl("/trades/export?format=csv"))))
        assert [row["order_id"] for row in trades] == [str(order_id)]

        foreign = subprocess.run(
            [
                *("curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}"),
                *("--header", f"Authorization: Bearer {other.token}"),
                f"{desk.address}/api/v1/recommendations/{chosen}",
            ],
            capture_output=True,
            text=True,
        )
        assert foreign.stdout == "404"
