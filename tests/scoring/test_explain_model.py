import json

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates import IGNORE_SOCKETS, PARAMS, Candidate, shared_candidate
from conftest import call_script, run_script
from text_ids import text_id

from churn.base.command import UserError
from churn.scoring.explanation import explain_rows
from churn.scoring.scorer import load_scorer
from explain_model import choose_sample, explain_model

pytestmark = IGNORE_SOCKETS


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return shared_candidate(tmp_path_factory)


@pytest.mark.parametrize("family", PARAMS["grids"])
def test_values_and_base_add_up_to_the_model_s_margin(family, tmp_path_factory):
    candidate = shared_candidate(tmp_path_factory, family)
    rows = pq.read_table(candidate.holdout)
    probability = load_scorer(candidate.model / "scorer.onnx").score(rows)
    explanation = explain_rows(candidate.model / "scorer.onnx", rows)
    assert explanation.unit == ("probability" if family == "random_forest" else "log-odds")
    margin = probability if explanation.unit == "probability" else np.log(probability / (1 - probability))
    assert np.abs(explanation.values).max() > 0.01
    assert np.allclose(explanation.values.sum(axis=1) + explanation.base, margin, atol=1e-6)


def test_values_average_to_zero_over_the_training_users(candidate):
    explanation = explain_rows(candidate.model / "scorer.onnx", pq.read_table(candidate.train))
    assert np.allclose(explanation.values.mean(axis=0), 0, atol=1e-5)


def test_a_scorer_that_cannot_be_explained_is_refused(candidate, tmp_path):
    model = onnx.load(candidate.model / "scorer.onnx")
    for node in model.graph.node:
        names = [name.replace("margin", "other") for name in node.output]
        del node.output[:]
        node.output.extend(names)
    onnx.save(model, tmp_path / "scorer.onnx")
    with pytest.raises(UserError, match=r"scorer\.onnx cannot be explained"):
        explain_rows(tmp_path / "scorer.onnx", pq.read_table(candidate.holdout))


@pytest.mark.parametrize("name", [int, text_id])
def test_the_sample_does_not_depend_on_the_order_of_rows(name):
    rows = pa.table({"user_id": [name(number) for number in range(1000)], "number": np.arange(1000)})
    sample = choose_sample(rows, 100)
    assert sample == choose_sample(rows.take(np.arange(1000)[::-1]), 100)
    assert len(choose_sample(rows, 5000)) == 1000
    assert 400 < np.mean(sample["number"].to_numpy()) < 600


def test_command_line_and_python_write_the_same_bytes(candidate, tmp_path):
    explain_model(candidate.model, candidate.holdout, tmp_path / "here", {"sample_rows": 1000})
    paths = ("--model", candidate.model, "--holdout", candidate.holdout, "--output", tmp_path / "there")
    run_script("explain_model", *paths)
    for name in ("shap_summary.png", "mean_abs_shap.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    means = json.loads((tmp_path / "here" / "mean_abs_shap.json").read_text())
    assert list(means) == sorted(load_scorer(candidate.model / "scorer.onnx").features)
    assert means["days_since_last_payment"] > means["payments_sum"]


@pytest.mark.parametrize(
    "ages", [pa.nulls(300, pa.float64()), [3.0] * 300, [0.1, 0.09999999999999999] * 150, [1e15, 1e15 + 0.125] * 150]
)
def test_an_unknown_or_constant_feature_is_explained(candidate, tmp_path, ages):
    rows = pq.read_table(candidate.holdout)
    place = rows.column_names.index("age")
    pq.write_table(rows.set_column(place, "age", pa.array(ages, pa.float64())), tmp_path / "holdout.parquet")
    explain_model(candidate.model, tmp_path / "holdout.parquet", tmp_path / "output", {"sample_rows": 1000})
    assert np.isfinite(json.loads((tmp_path / "output/mean_abs_shap.json").read_text())["age"])


def test_a_missing_feature_is_reported(candidate, tmp_path):
    pq.write_table(pq.read_table(candidate.holdout).drop_columns(["age"]), tmp_path / "holdout.parquet")
    answer = call_script(
        "explain_model",
        *("--model", candidate.model, "--holdout", tmp_path / "holdout.parquet", "--output", tmp_path / "output"),
        fails=True,
    )
    assert "needs the feature age" in answer.stderr
    assert not (tmp_path / "output").exists()
