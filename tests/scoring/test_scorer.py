import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates import IGNORE_SOCKETS, Candidate, shared_candidate

from churn.base.command import UserError
from churn.scoring.scorer import Scorer, load_scorer

pytestmark = IGNORE_SOCKETS


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return shared_candidate(tmp_path_factory)


@pytest.fixture(scope="module")
def scorer(candidate: Candidate) -> Scorer:
    return load_scorer(candidate.model / "scorer.onnx")


@pytest.fixture(scope="module")
def rows(candidate: Candidate) -> pa.Table:
    return pq.read_table(candidate.holdout)


def test_features_are_those_that_were_not_left_out(scorer):
    assert scorer.features == [
        "days_since_last_payment",
        "days_since_first_payment",
        "active_days",
        "payments_sum",
        "balance_change",
        "age",
    ]


def test_frames_and_tables_give_equal_scores_in_any_order_of_columns(scorer, rows):
    expected = scorer.score(rows)
    assert expected.dtype == np.float64
    assert expected.shape == (len(rows),)
    assert np.array_equal(scorer.score(rows.select(rows.column_names[::-1])), expected)
    assert np.array_equal(scorer.score(rows.to_pandas()[rows.column_names[::-1]]), expected)
    assert ((expected > 0) & (expected < 1)).all()


def test_none_and_nan_mean_unknown_and_score_as_the_median(scorer, rows):
    one = rows.slice(0, 1).to_pandas()
    with_none = one.assign(active_days=None)
    with_nan = one.assign(active_days=np.nan)
    assert scorer.score(with_none) == scorer.score(with_nan)
    assert scorer.score(with_nan) != scorer.score(one.assign(active_days=18.0))


def test_a_row_s_score_does_not_depend_on_other_rows(scorer, rows):
    assert scorer.score(rows.slice(7, 1))[0] == scorer.score(rows)[7]


def test_no_rows_give_no_scores(scorer, rows):
    assert scorer.score(rows.slice(0, 0)).shape == (0,)


def test_a_missing_column_is_reported(scorer, rows):
    with pytest.raises(UserError, match="needs the feature age, which the table lacks"):
        scorer.score(rows.drop_columns(["age"]))


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256))])
def test_a_damaged_file_is_named(tmp_path, content):
    file = tmp_path / "scorer.onnx"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"scorer\.onnx is damaged .* make run makes it again"):
        load_scorer(file)
