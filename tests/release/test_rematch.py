"""A second look: Production's own parameters, trained on today's rows, against the candidate."""

import pytest
from conftest import run
from demo_pipeline import read, registry

from churn.base.command import UserError
from tools.rematch import own_parameters

FEATURES = ["active_days", "payments_sum"]
TODAY = {
    **{"family": "logistic_regression", "folds": 3, "leave_out": ["age"], "log_features": ["payments_sum"]},
    "grids": {"logistic_regression": {"regParam": [0.1]}, "random_forest": {"maxDepth": [6]}},
}


def test_the_parameters_are_those_of_production_and_the_grid_is_its_point():
    found = {
        **{"train_model.family": "random_forest", "train_model.folds": 2, "train_model.leave_out": ["active_days"]},
        **{"train_model.log_features": ["payments_sum", "gone"], "train_model.grids.random_forest.maxDepth": [4, 8]},
        **{
            "train_model.grids.random_forest.featureSubsetStrategy": ["auto", "all"],
            "build_features.lookback_days": 60,
        },
    }
    assert own_parameters(found, {"best_params.maxDepth": 8.0}, TODAY, FEATURES) == {
        **{"family": "random_forest", "folds": 2, "leave_out": ["active_days"], "log_features": ["payments_sum"]},
        # A run's metrics are numbers only: of other parameters all values are tried again.
        "grids": {"random_forest": {"maxDepth": [8], "featureSubsetStrategy": ["auto", "all"]}},
    }


def test_a_production_without_parameters_or_with_a_family_that_is_gone_is_named():
    with pytest.raises(UserError, match="does not name the parameters of its training"):
        own_parameters({}, {}, TODAY, FEATURES)
    with pytest.raises(UserError, match="family svm, which this version of the project does not have"):
        own_parameters({"train_model.family": "svm"}, {}, TODAY, FEATURES)


@pytest.mark.slow
def test_the_same_parameters_on_the_same_rows_are_the_same_model_and_nothing_is_promoted(demo_copy):
    message = run("python", "scripts", "rematch", cwd=demo_copy, fails=True).stderr
    assert "The candidate, version 1, is in Production itself." in message
    client = registry(demo_copy)
    first = client.get_model_version("churn-model", "1")
    client.create_model_version("churn-model", first.source, first.run_id, tags={"meaning": first.tags["meaning"]})
    client.set_registered_model_alias("churn-model", "production", "2")
    printed = run("python", "scripts", "rematch", cwd=demo_copy).stdout.splitlines()[-1]
    assert "The reference is the candidate: version 2 has today's parameters" in printed
    found = read(demo_copy, "reports/rematch/rematch.json")
    assert found["gain"] == 0 and found["reference"]["roc_auc"] == found["candidate"]["roc_auc"]
    scorers = [demo_copy / folder / "scorer.onnx" for folder in ("models/candidate", "reports/rematch/model")]
    assert scorers[0].read_bytes() == scorers[1].read_bytes()
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "2"
    judged = [tag for tag in client.get_model_version("churn-model", "1").tags if tag.startswith("holdout_")]
    assert len(judged) == 1, "it was a look at this holdout"
    # Production of another recipe: the first point of a smaller grid.
    other = client.create_run(client.get_run(first.run_id).info.experiment_id)
    for name, value in client.get_run(first.run_id).data.params.items():
        weaker = {"train_model.grids.logistic_regression.regParam": "[10.0]"}.get(name, value)
        client.log_param(other.info.run_id, name, weaker)
    tags = {"meaning": first.tags["meaning"]}
    client.create_model_version("churn-model", first.source, other.info.run_id, tags=tags)
    client.set_registered_model_alias("churn-model", "production", "3")
    printed = run("python", "scripts", "rematch", cwd=demo_copy).stdout.splitlines()[-1]
    assert "Against version 3's parameters (logistic_regression)" in printed and "and the reference's 0.5" in printed
