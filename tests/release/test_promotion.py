"""Production changes through the ledger, exactly once, even if a process is killed."""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run, run_script

from churn.base.command import UserError
from churn.release.ledger import (
    PROMOTE,
    Move,
    apply_entry,
    finish_last_entry,
    last_entry,
    move_production,
    read_entries,
)
from churn.release.names import ledger_name, model_name
from churn.release.registry import open_registry
from promote_model import promote_model
from tools.ledger import show_ledger
from tools.release_hold import release_hold
from tools.rollback import rollback


def register(client, count: int) -> None:
    """Make versions of the model, without a model in them."""
    experiment = client.create_experiment("churn_retention")
    client.create_registered_model(model_name())
    for _ in range(count):
        made = client.create_run(experiment)
        client.create_model_version(model_name(), f"{made.info.artifact_uri}/model", made.info.run_id)


def write_evaluation(candidate: int, production: int | None, decision: str = "promote") -> Path:
    path = Path(f"{candidate}.json").absolute()
    content = {
        "candidate": {"version": str(candidate), "roc_auc": 0.82},
        "production": production and {"version": str(production), "roc_auc": 0.81},
        "decision": decision,
        "reason": f"Version {candidate} was compared with {production}.",
    }
    path.write_text(json.dumps(content))
    return path


def promote(candidate: int, production: int | None, decision: str = "promote") -> dict:
    """Promote and return the receipt."""
    promote_model(write_evaluation(candidate, production, decision), Path("receipt.json"))
    return json.loads(Path("receipt.json").read_text())


def survive_kills(script: str, *arguments: object) -> int:
    """Run a script to its end, killed after each call to the registry; return how many kills there were."""
    killer, tool = ROOT / "tests" / "support" / "kill_after_each_call.py", ROOT / "scripts" / "tools" / f"{script}.py"
    command = (ROOT / "scripts", script) if tool.exists() else (ROOT / "scripts" / f"{script}.py",)
    answer = run(sys.executable, killer, *command, *arguments, cwd=Path.cwd())
    return int(answer.stdout.splitlines()[-1].split()[0])


def aliases(client) -> dict[str, int]:
    """Return the version of each alias but `hold`: test_hold.py is about that."""
    found = client.get_registered_model(model_name()).aliases
    return {alias: int(version) for alias, version in found.items() if alias != "hold"}


def rolled_back(client, version: int) -> str | None:
    return client.get_model_version(model_name(), str(version)).tags.get("rolled_back")


def moves(client) -> list[tuple]:
    return [(one.action, one.from_version, one.to_version, one.valid, one.done) for one in read_entries(client)]


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory) -> Path:
    """A store that holds versions 1, 2 and 3 of the model: making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        with open_registry() as client:
            register(client, 3)
    return folder / "mlflow.db"


@pytest.fixture
def client(filled_store, tmp_path, monkeypatch):
    """A client of a store of this test's own, in whose folder the test runs."""
    monkeypatch.chdir(tmp_path)
    # A whole path: MLflow keeps one connection for an address, whatever the folder.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    shutil.copyfile(filled_store, "mlflow.db")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    with open_registry() as client:
        yield client


def test_promotion_and_rollback_are_in_the_ledger(client, capsys):
    assert show_ledger() == ["The ledger is empty: no version of churn-model has been promoted yet."]
    promote(1, None)
    assert promote(2, 1)["previous_version"] == "1"
    assert aliases(client) == {"production": 2, "previous": 1}
    rollback("calls went up\n in Lima")
    printed = capsys.readouterr().out
    assert "Production is version 1. Version 2 was rolled back: calls went up in Lima" in printed
    assert "Promotions are held until: make release-hold" in printed and "score the users with it: make run" in printed
    assert aliases(client) == {"production": 1, "previous": 2}
    assert rolled_back(client, 2) == "calls went up in Lima" and rolled_back(client, 1) is None
    (entry,) = client.search_model_versions(f"name = '{ledger_name()}' and tags.`action` = 'rollback'")
    assert entry.run_id == client.get_model_version(model_name(), "1").run_id
    assert entry.description == "rollback: version 1 replaces version 2. calls went up in Lima"
    rollback("it was the calls that were counted twice")
    assert aliases(client) == {"production": 2, "previous": 1}
    assert rolled_back(client, 2) is None and rolled_back(client, 1) == "it was the calls that were counted twice"


def test_the_ledger_is_read_with_one_command(client):
    client.create_registered_model(ledger_name())
    client.create_model_version(ledger_name(), "created by hand")
    promote(1, None)
    seen = last_entry(client)
    move_production(client, Move(PROMOTE, "1", "2", "1", "better"), seen, advice="")
    with pytest.raises(UserError):
        move_production(client, Move(PROMOTE, "1", "3", "1", "better, too"), seen, advice="")
    client.delete_model_version_tag(ledger_name(), "3", "done")
    header, *table = run_script("ledger", cwd=Path.cwd()).stdout.splitlines()
    assert header.split() == ["entry", "when", "(UTC)", "action", "from", "to", "who", "commit", "why"]
    assert [row.split()[0] for row in table] == ["1", "2", "3", "4"]
    assert table[0].endswith("created by hand: not valid")
    assert "promote  -     1   " in table[1] and table[1].endswith("Version 1 was compared with None.")
    assert "promote  1     2   " in table[2] and table[2].endswith("unfinished. better")
    assert "promote  1     3   " in table[3] and table[3].endswith("lost: entry 3 came first. better, too")


def test_a_candidate_that_is_in_production_or_skipped_writes_no_entry(client, capsys):
    assert promote(1, None, decision="skip")["production_version"] is None
    assert "No version is in Production." in capsys.readouterr().out
    promote(1, None)
    promote(1, None)
    promote(2, 1, decision="skip")
    assert moves(client) == [("promote", "", "1", True, True)]
    assert client.get_model_version(model_name(), "2").tags["decision"] == "skip"


def test_a_rolled_back_version_does_not_come_back_by_the_same_evaluation(client):
    promote(1, None)
    promote(2, 1)
    rollback("calls went up")
    receipt = promote(2, 1)
    assert receipt["decision"] == "skip" and "was rolled back after it was compared: calls went up" in receipt["reason"]
    assert aliases(client)["production"] == 1


def test_an_impossible_rollback_says_why(client):
    message = run_script("rollback", "--why", " ", fails=True, cwd=Path.cwd()).stderr
    assert message.startswith("ERROR: ") and 'make rollback WHY="' in message
    with pytest.raises(UserError, match="no version in Production"):
        rollback("it is bad")
    promote(1, None)
    with pytest.raises(UserError, match=r"Production of churn-model is version 1.* no version to go back to"):
        rollback("it is bad")
    assert moves(client) == [("promote", "", "1", True, True)]


def test_an_alias_moved_by_hand_is_kept(client):
    promote(1, None)
    client.set_registered_model_alias(model_name(), "production", "3")
    with pytest.raises(
        UserError,
        match=r"Production of churn-model is now version 3, .* was compared with version 1",
    ):
        promote(2, 1)
    assert aliases(client)["production"] == 3
    promote(2, 3)
    assert aliases(client) == {"production": 2, "previous": 3}


def test_of_two_promotions_from_the_same_production_the_second_stops(client):
    promote(1, None)
    seen = finish_last_entry(client)
    move_production(client, Move(PROMOTE, "1", "2", "1", "better"), seen, "Compare again.")
    with pytest.raises(UserError, match=r"was first: entry 2 .*version 2 replaces version 1.*Compare again\."):
        move_production(client, Move(PROMOTE, "1", "3", "1", "better, too"), seen, "Compare again.")
    assert aliases(client) == {"production": 2, "previous": 1}
    # The lost entry blocks nothing.
    promote(3, 2)
    assert [valid for *_, valid, _ in moves(client)] == [True, True, False, True]


def test_a_slow_writer_applies_the_newest_entry_in_the_end(client):
    promote(1, None)
    promote(2, 1)
    slow = last_entry(client)
    rollback("calls went up")
    release_hold("it was not the model")
    promote(3, 1)
    apply_entry(client, slow)
    assert aliases(client) == {"production": 3, "previous": 1}


@pytest.mark.slow
def test_a_promotion_killed_after_each_call_writes_one_entry(client):
    # A run that finishes what was left makes fewer calls: the ledger, the entry, a tag, the alias, two tags.
    assert survive_kills("promote_model", "--evaluation", write_evaluation(1, None), "--receipt", "receipt.json") == 7
    assert aliases(client) == {"production": 1}
    assert survive_kills("promote_model", "--evaluation", write_evaluation(2, 1), "--receipt", "receipt.json") == 7
    assert aliases(client) == {"production": 2, "previous": 1}
    assert moves(client) == [("promote", "", "1", True, True), ("promote", "1", "2", True, True)]


def test_a_rollback_killed_after_each_call_or_run_twice_is_one_rollback(client):
    promote(1, None)
    promote(2, 1)
    # The entry, the tag of what leaves, that of what returns, three aliases, done.
    assert survive_kills("rollback", "--why", "calls went up") == 7
    rollback("calls went up")
    assert aliases(client) == {"production": 1, "previous": 2}
    assert rolled_back(client, 2) == "calls went up" and rolled_back(client, 1) is None
    assert [action for action, *_ in moves(client)] == ["promote", "promote", "rollback"]


def test_a_killed_rollback_is_finished_by_the_next_command(client, capsys):
    promote(1, None)
    promote(2, 1)
    for finish in (lambda: promote(3, 2), lambda: rollback("another reason")):
        kill_rollback(client)
        with contextlib.suppress(UserError):
            finish()
        assert aliases(client) == {"production": 1, "previous": 2}
        assert rolled_back(client, 2) == "calls went up" and rolled_back(client, 1) is None
        assert moves(client)[2:] == [("rollback", "2", "1", True, True)]
    assert "Version 2 was rolled back: calls went up" in capsys.readouterr().out


def test_an_entry_whose_version_was_deleted_says_how_to_continue(client):
    promote(1, None)
    promote(2, 1)
    client.delete_model_version_tag(ledger_name(), "2", "done")
    client.delete_model_version(model_name(), "2")
    with pytest.raises(UserError, match=r"Entry 2 of churn-model-ledger \(promote: version 2 .*tag done=true"):
        promote(3, 1)
    client.set_registered_model_alias(model_name(), "production", "1")
    client.set_model_version_tag(ledger_name(), "2", "done", "true")
    promote(3, 1)
    assert aliases(client) == {"production": 3, "previous": 1}


def kill_rollback(client) -> None:
    """Leave what a rollback leaves that is killed when it has written its entry."""
    if len(moves(client)) == 2:
        rollback("calls went up")
    client.delete_model_version_tag(ledger_name(), "3", "done")
    client.delete_model_version_tag(model_name(), "2", "rolled_back")
    client.set_registered_model_alias(model_name(), "production", "2")
    client.set_registered_model_alias(model_name(), "previous", "1")
