"""Two models tested on the same users: repositories with real holdouts and ONNX models, made without the pipeline."""

import json
import time

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import call_script, run
from onnx import TensorProto, helper
from two_models import commit

from churn.revisions.paired_test import run_paired_test
from churn.revisions.pairing import ScoredRows, pair_users
from churn.revisions.revision import open_revision

USERS = 400
LABELS = np.arange(USERS) % 3 == 0
TRAINING_SET = {
    "holdout_date": "2026-02-15",
    "horizon_days": 30,
    "lookback_days": 90,
    "training_dates": ["2025-12-05", "2026-01-04"],
    "source": "own",
    "label_digest": "a-label",
    "feature_digests": {"amount": "digest-1", "visits": "digest-2"},
}
NEW_FIELDS = ("source", "label_digest", "feature_digests")


def make_values(seed, signal):
    """Return a feature of each user; the stronger the signal, the better it finds who churned."""
    return np.random.default_rng(seed).normal(size=USERS) + signal * LABELS


def make_holdout(users=None, label=LABELS, **features):
    users = np.arange(USERS) if users is None else users
    return pa.table({"user_id": users, "label": pa.array(label, pa.int32()), **features})


def write_model(path, features):
    """Write a model whose probability is the logistic function of the sum of its features."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in features]
    nodes = [
        helper.make_node("Sum", features, ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["column"]),
        helper.make_node("Reshape", ["column", "flat"], ["churn_probability"]),
    ]
    output = helper.make_tensor_value_info("churn_probability", TensorProto.DOUBLE, [None])
    graph = helper.make_graph(
        nodes, "sum", inputs, [output], [helper.make_tensor("flat", TensorProto.INT64, [1], [-1])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    run("git", "init", "--quiet", "--initial-branch", "main", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder)
    for name in "metrics", "models/candidate", "data/training/holdout.parquet":
        (folder / name).mkdir(parents=True)
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    return folder


@pytest.fixture
def save(project, monkeypatch):
    """Return a function that commits a revision under a tag, as a run would leave it."""
    monkeypatch.chdir(project)

    def save(tag, *parts, features=("amount",), old=False, **changes):
        training_set = {key: value for key, value in TRAINING_SET.items() if not (old and key in NEW_FIELDS)} | changes
        (project / "metrics/build_training_set.json").write_text(json.dumps(training_set))
        (project / "metrics/train_model.json").write_text(json.dumps({"features": features}))
        write_model(project / "models/candidate/scorer.onnx", features)
        folder = project / "data/training/holdout.parquet"
        for path in folder.iterdir():
            path.unlink()
        for number, part in enumerate(parts):
            pq.write_table(part, folder / f"part-{number}.parquet", row_group_size=100)
        (project / "tag.txt").write_text(f"{tag} {time.monotonic_ns()}")
        commit(project, tag)
        run("git", "tag", "--force", tag, cwd=project)

    return save


def compare(base="base", head="head"):
    return run_paired_test(open_revision(base), open_revision(head))


def auc(label, score):
    """The ROC AUC by its definition: the share of pairs of a churned and another user in which the first is higher."""
    above = score[label][:, None] - score[~label]
    return ((above > 0) + 0.5 * (above == 0)).mean()


def test_another_lookback_pairs_the_users_of_both_and_counts_the_others_in_both_reports(save, tmp_path, project):
    weak, strong = make_values(1, 0.5), make_values(2, 2)
    save("base", make_holdout(amount=weak))
    kept = make_holdout(visits=strong).slice(10)
    new = make_holdout(users=[9001, 9002, 9003, 9004], label=[1, 0, 1, 0], visits=np.zeros(4))
    # Rows in another order and in two files.
    save(
        "head", new, kept.take(np.random.default_rng(3).permutation(len(kept))), features=("visits",), lookback_days=60
    )
    then, now = auc(LABELS[10:], weak[10:]), auc(LABELS[10:], strong[10:])
    expected = (
        f"On the 390 users in both holdouts of 2026-02-15 (a horizon of 30 days) the ROC AUC of head is {now:.4f} and "
        f"that of base {then:.4f}: a difference of {now - then:+.4f}"
    )
    left_out = "Each model scored the rows of its own revision. Users left out: 10 only in base, 4 only in head."
    test = compare()
    assert test.verdict == "better" and test.message.startswith(expected) and test.message.endswith(left_out)
    assert [one["roc_auc"] for one in test.measures] == pytest.approx([then, now])
    output = call_script("compare", "base", "--head", "head", "--output", tmp_path, cwd=project).stdout
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text().replace("\\", "")
    for shown in output, page, text:
        assert expected in shown and left_out in shown
    assert "on the same users" in text and f"| {then:.4f} (" in text and f"| {now:.4f} (" in text


def test_an_edited_expression_is_scored_on_its_own_revision_s_values(save):
    values, edited = make_values(1, 1), -make_values(1, 1)
    save("base", make_holdout(amount=values, visits=make_values(4, 0)), features=("amount", "visits"))
    digests = TRAINING_SET["feature_digests"] | {"amount": "edited"}
    save("head", make_holdout(amount=edited), feature_digests=digests)
    test = compare()
    assert test.measures[0]["roc_auc"] == pytest.approx(auc(LABELS, values + make_values(4, 0)))
    assert test.measures[1]["roc_auc"] == pytest.approx(auc(LABELS, edited))
    assert test.message.endswith("Each model scored the rows of its own revision. No user was left out.")


def test_the_same_model_on_changed_values_says_where_the_difference_comes_from(save):
    save("base", make_holdout(amount=make_values(1, 1)))
    save("head", make_holdout(amount=make_values(1, 1)))
    assert compare().verdict == "same model"
    save("head", make_holdout(amount=make_values(2, 3)))
    test = compare()
    assert test.verdict == "better"
    assert test.message.endswith("Both have the same model: the difference comes from the values of its features.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon_days": 60}, "Another target: a horizon of 60 days against 30."),
        ({"label_digest": "edited"}, "Another target: another definition of churn."),
        ({"source": "demo"}, "Other users: head has drops of source demo, base of source own."),
        ({"training_dates": ["2026-02-01"]}, "head was trained on users of 2026-02-01, whose labels need the 30 days"),
    ],
)
def test_another_target_other_users_or_a_seen_holdout_is_not_tested(save, changes, message):
    save("base", make_holdout(amount=make_values(1, 1)))
    save("head", make_holdout(amount=make_values(2, 1)), **changes)
    test = compare()
    assert (test.verdict, test.measures) == ("not tested", []) and test.message.startswith(message)


def test_a_training_date_whose_label_ends_at_the_holdout_is_fair(save):
    save("base", make_holdout(amount=make_values(1, 1)), training_dates=["2026-01-16"])
    save("head", make_holdout(amount=make_values(2, 2)))
    assert compare().verdict == "better"
    save("base", make_holdout(amount=make_values(1, 1)), training_dates=["2026-01-17"])
    assert "base was trained on users of 2026-01-17" in compare().message


@pytest.mark.parametrize("order", [("older", "newer"), ("newer", "older")])
def test_with_different_dates_both_models_score_the_newer_holdout(save, order):
    amount, visits = make_values(1, 1), make_values(2, 3)
    save("older", make_holdout(amount=-amount), old=True)
    # What the older model does not use may differ.
    digests = TRAINING_SET["feature_digests"] | {"visits": "edited"}
    newer = make_holdout(amount=amount, visits=visits)
    save("newer", newer, features=("visits",), holdout_date="2026-03-15", feature_digests=digests)
    test = compare(*order)
    assert f"On the holdout of 2026-03-15 of newer ({USERS} users, a horizon of 30 days)" in test.message
    assert test.message.endswith(
        "Both models scored these rows, because the holdout of older is of 2026-02-15. No user was left out."
    )
    expected = {"older": auc(LABELS, amount), "newer": auc(LABELS, visits)}
    assert [one["roc_auc"] for one in test.measures] == pytest.approx([expected[name] for name in order])
    # A revision that has digests, and the same for what it uses.
    save("older", make_holdout(amount=-amount))
    assert compare(*order) == test


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"lookback_days": 60}, "a lookback of 60 days against 90"),
        ({"feature_digests": {"amount": "edited", "visits": "digest-2"}}, "another definition of amount"),
    ],
)
def test_with_different_dates_and_meanings_nothing_is_tested_and_the_report_says_what_to_do(save, changes, difference):
    save("older", make_holdout(amount=make_values(1, 1)))
    save("newer", make_holdout(amount=make_values(1, 2)), holdout_date="2026-03-15", **changes)
    test = compare("older", "newer")
    assert test.verdict == "not tested"
    assert f"those that older was trained on: {difference}. Merge the newer drops into older" in test.message


def test_the_older_model_may_not_have_seen_the_period_of_the_newer_holdout(save):
    save("older", make_holdout(amount=make_values(1, 1)), training_dates=["2026-01-04", "2026-03-01"])
    save("newer", make_holdout(amount=make_values(1, 2)), holdout_date="2026-03-15")
    assert compare("older", "newer").message.startswith("older was trained on users of 2026-03-01")


def test_users_whose_label_was_corrected_are_left_out_if_they_are_few(save):
    save("base", make_holdout(amount=make_values(1, 1)))
    corrected = LABELS.copy()
    corrected[:4] = ~corrected[:4]
    values = make_values(2, 2)
    save("head", make_holdout(label=corrected, visits=values), features=("visits",))
    test = compare()
    assert "On the 396 users" in test.message and test.message.endswith("left out: 4 with different labels.")
    assert test.measures[1]["roc_auc"] == pytest.approx(auc(LABELS[4:], values[4:]))
    corrected[4] = ~corrected[4]
    save("head", make_holdout(label=corrected, visits=values), features=("visits",))
    test = compare()
    assert test.verdict == "not tested"
    assert test.message.startswith("Of the 400 users in both holdouts, 5 have another label, more than 1%")


def test_too_few_users_in_both_holdouts_are_said(save):
    rows = make_holdout(amount=make_values(1, 1))
    save("base", rows.slice(0, 5))
    save("head", rows.slice(3, 300), lookback_days=60)
    test = compare()
    assert test.verdict == "not tested"
    assert test.message == (
        "Only 2 users could be tested, of whom 1 churned: a test needs at least 2 who churned and 2 who did not. "
        "Users left out: 3 only in base, 298 only in head."
    )


def test_a_revision_without_what_the_test_needs_is_named(save, project):
    rows = make_holdout(amount=make_values(1, 1))
    save("base", rows)
    save("head", rows.drop_columns("amount"), features=("amount",))
    assert compare().message == "The model of head needs the feature amount, which the holdout of head lacks."
    save("head", rows)
    path = "metrics/build_training_set.json"
    content = {key: value for key, value in TRAINING_SET.items() if key != "lookback_days"}
    (project / path).write_text(json.dumps(content))
    message = run_paired_test(open_revision("base"), open_revision(None)).message
    assert message.startswith(f"the working tree has no lookback_days in {path}.")


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.string(), pa.large_string()])
@pytest.mark.parametrize("other", [pa.int64(), pa.string()])
def test_ids_are_paired_whatever_their_type(kind, other):
    base = ScoredRows(pa.array([5, 1, 3, 9]).cast(other), np.array([1, 0, 1, 0]), [np.array([0.5, 0.1, 0.3, 0.9])])
    head = ScoredRows(pa.array([1, 3, 4, 5]).cast(kind), np.array([0, 1, 1, 0]), [np.array([0.11, 0.31, 0.41, 0.51])])
    pairs = pair_users(base, head)
    assert [one.tolist() for one in pairs.scores] == [[0.1, 0.3], [0.11, 0.31]] and pairs.label.tolist() == [0, 1]
    assert (pairs.only_base, pairs.only_head, pairs.relabelled) == (1, 1, 1)


def test_a_million_users_are_paired_in_seconds():
    users, label = 1_000_000, np.zeros(1_000_000, np.int32)
    order = np.random.default_rng(1).permutation(users)
    ids = pa.array(order).cast(pa.string())
    start = time.process_time()
    pairs = pair_users(
        ScoredRows(ids, label, [order.astype(float)]), ScoredRows(ids.take(order), label, [order[order].astype(float)])
    )
    assert np.array_equal(*pairs.scores) and len(pairs.label) == users
    # Processor time, whatever else the machine does; measured: 0.5 s.
    assert time.process_time() - start < 5
