"""A rollback lasts: promotions are held until somebody releases them; a person may promote all the same."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, run, run_script
from mlflow_server import run_server
from test_promotion import client, filled_store, moves, promote, write_evaluation  # noqa: F401

from churn.base.command import UserError
from churn.release.ledger import PROMOTE, ROLLBACK, Move, find_hold, finish_last_entry, move_production
from churn.release.lookup import read_aliases
from churn.release.moved import production_moved
from promote_model import promote_model
from tools.hold import hold
from tools.promote import promote as promote_by_hand
from tools.release_hold import release_hold
from tools.rollback import rollback


@pytest.fixture
def rolled_back(client):  # noqa: F811
    """A store whose version 2 was rolled back to version 1."""
    promote(1, None)
    promote(2, 1)
    rollback("calls went up")
    return client


def test_after_a_rollback_a_better_candidate_waits_until_the_hold_is_released(rolled_back):
    receipt = promote(3, 1)
    assert receipt["decision"] == "held" and receipt["held"] and receipt["production_version"] == "1"
    assert "entry 3, rollback by" in receipt["reason"] and "calls went up" in receipt["reason"]
    assert "Version 3 waits: make release-hold" in receipt["reason"]
    assert rolled_back.get_model_version("churn-model", "3").tags["decision"] == "held"
    assert read_aliases() == {"production": "1", "previous": "2", "hold": "1"}
    release_hold("it was not the model")
    assert read_aliases() == {"production": "1", "previous": "2"}
    receipt = promote(3, 1)
    assert receipt["decision"] == "promote" and not receipt["held"] and receipt["production_version"] == "3"
    assert [action for action, *_ in moves(rolled_back)] == [
        "promote",
        "promote",
        "rollback",
        "release-hold",
        "promote",
    ]


def test_a_second_rollback_does_not_release(rolled_back):
    rollback("the calls were counted twice")
    assert find_hold(rolled_back).why == "the calls were counted twice"
    assert promote(3, 2)["decision"] == "held"


def test_promotions_are_held_by_hand_once_and_released_once(client, capsys):  # noqa: F811
    promote(1, None)
    hold("the audit ends on Friday")
    hold("another reason")
    printed = capsys.readouterr().out
    assert "Promotions are held until" in printed and "held already, by entry 2 (hold by" in printed
    assert promote(2, 1)["decision"] == "held"
    for _ in range(2):
        release_hold("the audit is over")
    assert "Promotions are released; entry 2 held them" in capsys.readouterr().out
    assert moves(client)[1:] == [("hold", "", "", True, True), ("release-hold", "", "", True, True)]
    table = run_script("ledger", cwd=Path.cwd()).stdout
    assert "hold          -     -" in table and "the audit is over" in table


def test_a_skip_says_nothing_of_the_hold_but_the_receipt_does(rolled_back):
    receipt = promote(3, 1, decision="skip")
    assert receipt["decision"] == "skip" and receipt["held"] and "held" not in receipt["reason"]


def test_a_hold_that_was_killed_is_finished_by_the_next_command(client):  # noqa: F811
    promote(1, None)
    hold("the audit ends on Friday")
    client.delete_model_version_tag("churn-model-ledger", "2", "done")
    client.delete_registered_model_alias("churn-model", "hold")
    assert promote(2, 1)["decision"] == "held"
    assert "hold" in read_aliases()


def test_of_a_hold_and_a_promotion_at_once_only_the_first_counts(client):  # noqa: F811
    promote(1, None)
    seen = finish_last_entry(client)
    hold("the audit ends on Friday")
    with pytest.raises(UserError, match=r"was first: entry 2 .*hold: Production stays.*no effect: promote: version 2"):
        move_production(client, Move(PROMOTE, "1", "2", "1", "better"), seen, "Compare again.")
    assert read_aliases() == {"production": "1", "hold": "1"}


def test_a_reason_is_required(client):  # noqa: F811
    for tool, example in {"hold": "make hold", "release_hold": "make release-hold"}.items():
        said = run_script(tool, "--why", " ", fails=True, cwd=Path.cwd()).stderr
        assert f'{example} WHY="' in said


def test_a_person_promotes_what_is_held_or_was_rolled_back_and_the_hold_stays(rolled_back, capsys):
    promote_by_hand("2", "Lima has confirmed it")
    assert "Production is version 2. It replaces version 1." in capsys.readouterr().out
    assert read_aliases() == {"production": "2", "previous": "1", "hold": "2"}
    version = rolled_back.get_model_version("churn-model", "2")
    assert "rolled_back" not in version.tags and version.tags["reason"] == "Lima has confirmed it"
    assert promote(3, 2)["decision"] == "held"
    promote_by_hand("2", "Lima has confirmed it")
    assert [action for action, *_ in moves(rolled_back)] == ["promote", "promote", "rollback", "promote"]


def test_a_person_must_name_a_version_and_a_reason(rolled_back):
    said = run_script("promote", "9", "--why", "new", fails=True, cwd=Path.cwd()).stderr
    assert "has no version '9'. Its versions: 1, 2, 3." in said
    said = run_script("promote", "3", "--why", "", fails=True, cwd=Path.cwd()).stderr
    assert 'make promote VERSION=3 WHY="' in said


def test_a_run_notices_that_production_moved_or_is_held(client):  # noqa: F811
    from churn.release import moved

    def look() -> str:
        moved._read_once.cache_clear()
        return production_moved(Path("receipt.json"), Path("evaluation.json"))

    assert look() == ""
    promote(1, None)
    assert look() == ""
    hold("the audit ends on Friday")
    assert look() == "promotions are held"
    promote_model(write_evaluation(1, 1, "skip"), Path("receipt.json"))
    assert look() == "" and json.loads(Path("receipt.json").read_text())["held"]
    release_hold("the audit is over")
    assert look() == "promotions are no longer held"
    promote(1, 1, "skip")
    promote_by_hand("2", "by another clone")
    assert look() == "Production was version 1 and is version 2"
    client.delete_registered_model_alias("churn-model", "production")
    assert look() == "Production was version 1 and is no version"


def test_a_comparison_that_was_never_applied_is_made_again(client):  # noqa: F811
    from churn.release import moved

    def look() -> str:
        moved._read_once.cache_clear()
        return production_moved(Path("receipt.json"), Path("1.json"))

    write_evaluation(1, 2)
    client.set_registered_model_alias("churn-model", "production", "2")
    assert look() == ""
    client.set_registered_model_alias("churn-model", "production", "1")
    assert look() == "", "the candidate itself was promoted"
    client.set_registered_model_alias("churn-model", "production", "3")
    assert look() == "the candidate was compared with version 2, and Production is version 3"


def test_a_first_promotion_can_be_held_and_a_hold_without_production_released(client):  # noqa: F811
    hold("not before the audit")
    receipt = promote(1, None)
    assert receipt["decision"] == "held" and receipt["held"] and receipt["production_version"] is None
    assert read_aliases() == {"hold": "3"}, "on the newest version, so that the next run sees it"
    release_hold("the audit is over")
    assert promote(1, None)["production_version"] == "1"


def test_a_rollback_of_before_holds_does_not_hold(client):  # noqa: F811
    promote(1, None)
    promote(2, 1)
    move_production(client, Move(ROLLBACK, "2", "1", "2", "calls went up"), finish_last_entry(client), "")
    assert find_hold(client) is None
    assert promote(3, 1)["production_version"] == "3"


def test_a_hold_does_not_move_production_and_its_alias_follows_the_ledger(client):  # noqa: F811
    promote(1, None)
    hold("the audit ends on Friday")
    client.set_registered_model_alias("churn-model", "production", "2")
    client.delete_model_version_tag("churn-model-ledger", "2", "done")
    client.delete_registered_model_alias("churn-model", "hold")
    assert promote(3, 2)["held"]
    assert read_aliases() == {"production": "2", "hold": "2"}


def test_a_rollback_is_repeated_only_with_another_reason_even_after_a_hold_was_released(rolled_back):
    release_hold("it was not the model")
    rollback("calls went up")
    assert read_aliases()["production"] == "1"
    rollback("calls went down")
    assert read_aliases()["production"] == "2"


@pytest.mark.slow
def test_holds_and_a_promotion_by_a_person_are_the_same_at_a_server(client):  # noqa: F811
    with run_server(Path("mlflow.db").absolute()) as address:

        def do(name: str, *arguments: object) -> str:
            command = (ROOT / "scripts" / f"{name}.py",) if name == "promote_model" else (ROOT / "scripts", name)
            return run("python", *command, *arguments, cwd=Path.cwd(), MLFLOW_TRACKING_URI=address).stdout

        def release(candidate: int, production: int | None) -> str:
            receipt = ("--receipt", "receipt.json")
            do("promote_model", "--evaluation", write_evaluation(candidate, production), *receipt)
            return json.loads(Path("receipt.json").read_text())["decision"]

        assert [release(1, None), release(2, 1)] == ["promote", "promote"]
        do("rollback", "--why", "calls went up")
        assert release(3, 1) == "held"
        do("promote", "3", "--why", "Lima has confirmed it")
        assert read_aliases() == {"production": "3", "previous": "1", "hold": "3"}
        do("release_hold", "--why", "it was not the model")
        assert release(2, 3) == "skip", "it was rolled back"
        actions = [line.split()[3] for line in do("ledger").splitlines()[1:]]
        assert actions == ["promote", "promote", "rollback", "promote", "release-hold"]
