"""Two promotions at the same moment: one wins, and both get a true message."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT
from mlflow_server import run_server
from test_promotion import aliases, client, filled_store, moves, promote, write_evaluation  # noqa: F401

from churn.release.names import ledger_name, model_name
from tools.rollback import rollback

pytestmark = pytest.mark.slow
ROUNDS, MOST_ROUNDS = 6, 40
FINISHES = 20
# Does one thing for each line that it reads, so that two of these do so at the same moment.
CONTENDER = """
import sys
from pathlib import Path
from churn.base.command import UserError
from churn.release.ledger import apply_entry, last_entry
from churn.release.registry import open_registry
from promote_model import promote_model


def promote(evaluation):
    promote_model(Path(evaluation), Path(evaluation + ".receipt"))

def finish(_):
    with open_registry() as client:
        apply_entry(client, last_entry(client))
    print("finished")

for line in sys.stdin:
    try:
        {"promote": promote, "finish": finish}[sys.argv[1]](line.strip())
    except UserError as error:
        print("ERROR:", error)
    sys.stdout.flush()
"""


@pytest.fixture(params=["embedded", "server"])
def address(request, client):  # noqa: F811
    """Where two meet: in the embedded store, or at a real server."""
    database = Path("mlflow.db").absolute()
    if request.param == "embedded":
        yield f"sqlite:///{database}"
    else:
        with run_server(database) as address:
            yield address


@contextlib.contextmanager
def two_contenders(address: str, what: str):
    """Give a function that hands each of two processes a line and returns what both print."""
    environment = ENVIRONMENT | {"MLFLOW_TRACKING_URI": address, "PYTHONPATH": str(ROOT / "scripts")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", CONTENDER, what]

    def contend(*lines: object) -> list[str]:
        for one, line in zip(two, lines, strict=True):
            print(line, file=one.stdin, flush=True)
        return [one.stdout.readline() for one in two]

    with contextlib.ExitStack() as stack:
        two = [stack.enter_context(subprocess.Popen(command, env=environment, **pipes)) for _ in range(2)]
        yield contend


def test_of_two_promoters_at_the_same_moment_exactly_one_wins(client, address):  # noqa: F811
    promote(1, None)
    lost_in_the_ledger = 0
    with two_contenders(address, "promote") as contend:
        for number in range(1, MOST_ROUNDS + 1):
            production = aliases(client)["production"]
            candidates = [version for version in (1, 2, 3) if version != production]
            printed = contend(*(write_evaluation(candidate, production) for candidate in candidates))
            assert sum(line.startswith("ERROR: ") for line in printed) == 1, printed
            winner, loser = candidates if printed[0].startswith("promote") else reversed(candidates)
            message = printed[candidates.index(loser)]
            assert "make run" in message and f"version {winner}" in message, printed
            assert aliases(client) == {"production": winner, "previous": production}
            assert not Path(f"{loser}.json.receipt").exists()
            Path(f"{winner}.json.receipt").unlink()
            lost_in_the_ledger += "was first" in message
            if number >= ROUNDS and lost_in_the_ledger:
                break
    assert lost_in_the_ledger, "they never met"
    assert sum(not valid for *_, valid, _ in moves(client)) == lost_in_the_ledger


def test_two_that_finish_the_same_entry_at_the_same_moment_both_succeed(client, address):  # noqa: F811
    """The second promoter of the test above finishes what the first wrote, if it comes between entry and aliases."""
    promote(1, None)
    promote(2, 1)
    rollback("calls went up")
    with two_contenders(address, "finish") as contend:
        for _ in range(FINISHES):
            client.delete_model_version_tag(ledger_name(), "3", "done")
            client.delete_model_version_tag(model_name(), "2", "rolled_back")
            client.delete_registered_model_alias(model_name(), "production")
            client.delete_registered_model_alias(model_name(), "previous")
            assert contend("", "") == ["finished\n"] * 2
            assert aliases(client) == {"production": 1, "previous": 2}
            assert moves(client)[-1] == ("rollback", "2", "1", True, True)
