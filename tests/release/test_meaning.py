"""Models are compared, and users are scored, only on features of the meaning that the model was trained on."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from candidates import IGNORE_SOCKETS, shared_candidate
from conftest import ROOT

from churn.base.command import UserError
from churn.release.candidate import save_scorer
from churn.release.meaning import MEANING_TAG, Meaning, version_meaning
from churn.release.registry import open_registry
from evaluate_candidate import evaluate_candidate
from promote_model import promote_model
from score_users import score_users

pytestmark = IGNORE_SOCKETS
PARAMS = {
    **{"min_delta": 0.005, "confidence": 0.9, "comparisons_per_year": 52},
    **{"min_roc_auc": 0.5, "max_ece": 0.5, "max_segment_loss": 0.5},
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A store whose versions 1 and 2 have the same small model, and the model's features."""
    candidate, folder = shared_candidate(tmp_path_factory), tmp_path_factory.mktemp("meaning")
    features = json.loads(candidate.metrics.read_text())["features"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        save_scorer(candidate.model / "scorer.onnx", pq.read_table(candidate.holdout), folder / "model")
        with open_registry() as client:
            experiment = client.create_experiment("churn_retention", (folder / "mlartifacts").as_uri())
            client.create_registered_model("churn-model")
            for _ in range(2):
                made = client.create_run(experiment).info
                client.log_artifacts(made.run_id, "model", "model")
                client.create_model_version("churn-model", f"{made.artifact_uri}/model", made.run_id)
    return folder, candidate, features


@pytest.fixture
def store(scored, tmp_path, monkeypatch):
    """A store of this test's own, where version 1 is in Production."""
    folder, candidate, features = scored
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    shutil.copyfile(folder / "mlflow.db", "mlflow.db")
    shutil.copytree(folder / "mlartifacts", "mlartifacts")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    Path("candidate.json").write_text(json.dumps({"version": "2"}))
    with open_registry() as client:
        client.set_registered_model_alias("churn-model", "production", "1")
        yield Store(client, candidate, features)


class Store:
    """What a test changes: the meaning of Production, and of today's rows."""

    def __init__(self, client, candidate, features):
        self.client, self.candidate = client, candidate
        self.production = Meaning("own", 30, 90, "label", dict.fromkeys(features, "same"), ["2025-11-01", "2025-12-01"])
        self.today = {
            **{"source": "own", "horizon_days": 30, "lookback_days": 90, "label_digest": "label"},
            **{"feature_digests": dict.fromkeys(features, "same"), "training_dates": ["2025-12-05"]},
        }

    def evaluate(self, **production) -> dict:
        """Compare version 2 with version 1, whose meaning is changed so; return the evaluation."""
        meaning = Meaning(**(vars(self.production) | production))
        self.client.set_model_version_tag("churn-model", "1", MEANING_TAG, meaning.to_json())
        Path("today.json").write_text(json.dumps(self.today))
        paths = Path("candidate.json"), self.candidate.holdout, Path("today.json"), Path("evaluation.json")
        evaluate_candidate(*paths, PARAMS)
        return json.loads(paths[-1].read_text())

    def score(self, version: str = "", branch: str = "any", source: str = "own") -> dict:
        """Score the holdout as a drop; return the receipt."""
        Path("2026-01-05.json").write_text(
            json.dumps({name: self.today[name] for name in ("lookback_days", "feature_digests")})
        )
        Path("drops.yaml").write_text(f'source: {source}\ndrops: ["2026-01-05"]\n')
        names = (
            self.candidate.holdout,
            *map(Path, ("2026-01-05.json", "drops.yaml", "scores.parquet", "receipt.json")),
        )
        score_users(*names, branch, version)
        return json.loads(Path("receipt.json").read_text())


def test_equal_meanings_are_compared(store):
    found = store.evaluate()
    assert found["gain"] == 0 and found["decision"] == "skip" and "a gain of" in found["reason"]
    assert found["production"]["roc_auc"] == found["candidate"]["roc_auc"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lookback_days": 60}, "a lookback of 60 days, now 90"),
        ({"horizon_days": 14, "training_dates": []}, "a horizon of 14 days, now 30"),
        ({"label": "other"}, "another definition of churn"),
        ({"features": {"active_days": "edited", "payments_sum": "same"}}, "another definition of active_days"),
        ({"features": {"gone": "same"}}, "features that no longer exist (gone)"),
        ({"source": "demo"}, "is the demo's; for a candidate of own data it counts as none. The candidate's ROC AUC"),
        ({"training_dates": ["2025-11-01", "2025-12-20"]}, "training rows of 2025-12-20, whose labels need days after"),
    ],
)
def test_another_meaning_is_not_compared_and_production_stays(store, changed, said):
    found = store.evaluate(**changed)
    assert said in found["reason"], found["reason"]
    assert found["gain"] is None and found["production"] == {"version": "1", "roc_auc": None, "ece": None}
    assert [gate["gate"] for gate in found["gates"]] == ["min_roc_auc", "max_ece"]
    promote_model(Path("evaluation.json"), Path("promotion.json"))
    promotion = json.loads(Path("promotion.json").read_text())
    if changed == {"source": "demo"}:
        assert found["decision"] == "promote" and promotion["production_version"] == "2"
    else:
        assert found["decision"] == promotion["decision"] == "not comparable"
        assert promotion["production_version"] == "1"
        ways = ("make compare BASE=", "make rematch", 'make promote VERSION=2 WHY="')
        assert all(way in found["reason"] for way in ways)


def test_a_candidate_of_the_demo_never_replaces_a_model_of_own_data(store):
    store.today["source"] = "demo"
    found = store.evaluate()
    assert found["decision"] == "not comparable" and "the candidate is the demo's" in found["reason"]
    assert "make promote" not in found["reason"], "nobody should"


def test_a_production_that_nobody_knows_is_not_compared(store):
    store.evaluate()
    store.client.delete_model_version_tag("churn-model", "1", MEANING_TAG)
    paths = Path("candidate.json"), store.candidate.holdout, Path("today.json"), Path("evaluation.json")
    evaluate_candidate(*paths, PARAMS)
    found = json.loads(paths[-1].read_text())
    assert found["decision"] == "not comparable" and "no run that says what it was trained for" in found["reason"]


def test_what_a_later_version_of_this_project_stores_is_ignored(store):
    meaning = json.loads(store.production.to_json()) | {"a later field": 1}
    store.client.set_model_version_tag("churn-model", "1", MEANING_TAG, json.dumps(meaning))
    assert version_meaning(store.client, store.client.get_model_version("churn-model", "1")) == store.production


def test_a_training_date_whose_label_ends_at_the_holdouts_date_is_fair(store):
    # 30 days before the holdout's date, 2026-01-05.
    assert store.evaluate(training_dates=["2025-12-06"])["gain"] == 0


def test_a_version_of_before_is_compared_by_what_its_run_knows(store):
    run_id = store.client.get_model_version("churn-model", "1").run_id
    store.evaluate()
    store.client.delete_model_version_tag("churn-model", "1", MEANING_TAG)
    store.client.log_param(run_id, "build_training_set.horizon_days", "30")
    store.client.log_param(run_id, "build_features.lookback_days", "60")
    paths = Path("candidate.json"), store.candidate.holdout, Path("today.json"), Path("evaluation.json")
    evaluate_candidate(*paths, PARAMS)
    assert "a lookback of 60 days, now 90" in json.loads(paths[-1].read_text())["reason"]


def test_a_version_of_before_without_any_drop_of_today_may_be_the_demos(store):
    run_id = store.client.get_model_version("churn-model", "1").run_id
    store.evaluate()
    store.client.delete_model_version_tag("churn-model", "1", MEANING_TAG)
    for name, days in {"build_training_set.horizon_days": "30", "build_features.lookback_days": "90"}.items():
        store.client.log_param(run_id, name, days)
    store.client.set_tag(run_id, "raw/2026-01-04/PAYMENTS.csv", "a")
    paths = Path("candidate.json"), store.candidate.holdout, Path("today.json"), Path("evaluation.json")
    for digest, decision in {"a": "skip", "b": "not comparable"}.items():
        dep = {"path": "data/raw/2026-01-04/PAYMENTS.csv", "md5": digest}
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"clean_payments@2026-01-04": {"deps": [dep]}}}))
        evaluate_candidate(*paths, PARAMS)
        found = json.loads(paths[-1].read_text())
        assert found["decision"] == decision, found["reason"]
    assert "no drop in common with today's, so it may be the demo's" in found["reason"]


def test_a_holdout_counts_the_candidates_that_it_judges(store):
    assert store.evaluate()["candidates_judged"] == 0
    assert store.evaluate()["candidates_judged"] == 0, "the same candidate again is no other one"
    version = store.client.get_model_version("churn-model", "2")
    for number in "3", "4":
        assert store.client.create_model_version("churn-model", version.source, version.run_id).version == int(number)
        Path("candidate.json").write_text(json.dumps({"version": number}))
        found = store.evaluate()
        assert found["candidates_judged"] == int(number) - 2
    assert "has judged 2 candidates before" in found["reason"]
    Path("candidate.json").write_text(json.dumps({"version": "2"}))
    assert store.evaluate()["candidates_judged"] == 0, "it was the first, and stays the first"


def test_users_are_scored_only_on_features_of_the_same_meaning(store):
    store.evaluate()
    found = store.score()
    assert found["model_version"] == found["production_version"] == "1" and found["users"] == 300
    before = Path("scores.parquet").read_bytes()
    store.today["lookback_days"] = 60
    with pytest.raises(UserError, match=r"a lookback of 90 days, now 60.*Two ways out.*make promote") as error:
        store.score()
    assert "restore these features" in str(error.value)
    store.today |= {"lookback_days": 90, "feature_digests": store.today["feature_digests"] | {"active_days": "edited"}}
    with pytest.raises(UserError, match=r"another definition of active_days"):
        store.score()
    assert Path("scores.parquet").read_bytes() == before
    assert json.loads(Path("receipt.json").read_text()) == found


def test_without_a_model_that_can_score_the_receipt_says_why(store):
    store.evaluate(source="demo")
    found = store.score()
    assert found["model_version"] is None and "is the demo's" in found["reason"] and found["files"] == {}
    assert not Path("scores.parquet").exists()
    assert store.score(source="demo")["model_version"] == "1"
    store.client.delete_registered_model_alias("churn-model", "production")
    assert "no version is in Production" in store.score()["reason"]


def test_another_version_scores_when_asked_and_the_bytes_are_the_same_each_time(store):
    store.evaluate()
    first = store.score(version="2")
    assert first["model_version"] == "2" and first["production_version"] == "1"
    bytes_then = Path("scores.parquet").read_bytes(), Path("scores.csv").read_bytes()
    store.score()
    assert store.score(version="2") == first
    assert (Path("scores.parquet").read_bytes(), Path("scores.csv").read_bytes()) == bytes_then
    with pytest.raises(UserError, match=r"has no version '7'. Its versions: 1, 2"):
        store.score(version="7")
