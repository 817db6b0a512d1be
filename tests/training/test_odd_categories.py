"""Training, evaluation and the model card work with any names of card types, and with any number of them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates import IGNORE_SOCKETS, PARAMS, make_rows, outputs
from markdown_it import MarkdownIt
from odd_values import EVIL, LONG, SHOWN, many

from churn.evaluation.segments import find_segments
from churn.features.categories import MAX_CATEGORIES
from churn.pictures import save_picture
from churn.release.gates import decide
from churn.training.plots import draw_segments
from train_model import train_model
from write_model_card import describe_segments

pytestmark = IGNORE_SOCKETS
HOLDOUT = 300


def with_cards(rows: pa.Table, cards: np.ndarray) -> pa.Table:
    return rows.set_column(rows.column_names.index("card_type"), "card_type", pa.array(cards, pa.string()))


def odd_cards() -> np.ndarray:
    """Return an evil card type, a long one, and more kinds than get a segment of their own."""
    cards = many(HOLDOUT, 100)
    cards[:20], cards[20:40] = EVIL, LONG
    return cards


@pytest.fixture(scope="module")
def segments(tmp_path_factory) -> list[dict]:
    """The segments of a candidate that was trained and evaluated on odd card types."""
    folder = tmp_path_factory.mktemp("odd")
    tables = folder / "train.parquet", folder / "holdout.parquet"
    pq.write_table(make_rows(600, seed=1), tables[0])
    pq.write_table(with_cards(make_rows(HOLDOUT, seed=2), odd_cards()), tables[1])
    train_model(*tables, *outputs(folder), PARAMS | {"grids": {"logistic_regression": {"regParam": [0.1]}}})
    assert (folder / "plots" / "segments.png").stat().st_size > 10_000
    return json.loads((folder / "plots" / "segments.json").read_text())


def test_segments_are_the_most_frequent_card_types_and_one_for_all_others(segments):
    names = {segment["segment"]: segment["users"] for segment in segments}
    cards = {name.removeprefix("card_type: "): users for name, users in names.items() if name.startswith("card_type")}
    assert len(cards) == MAX_CATEGORIES + 1
    assert cards[SHOWN] == cards[LONG[:60]] == 20 and cards["other"] > 0
    assert sum(cards.values()) == HOLDOUT


def test_the_model_card_is_a_table_that_shows_the_names(segments):
    table = describe_segments(segments)
    assert len(table.splitlines()) == len(segments) + 2
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(table)
    assert shown.count("<tr>") == len(segments) + 1 and shown.count("<td>") == 6 * len(segments)
    assert "card_type: $^$ | &lt; b&gt;x&lt; /b&gt; `y` # &lt; /script&gt;" in shown
    assert "\\$^\\$" in table, "GitHub would take it for a formula"


def test_the_model_card_shows_how_many_churners_of_each_segment_are_found(segments):
    cells = {row.split(" | ")[0]: row.split(" | ")[-1] for row in describe_segments(segments).splitlines()}
    assert cells["| segment"] == "churners found |"
    old = next(segment for segment in segments if segment["segment"] == "users: old")
    churners = old["churn_rate"] * old["users"]
    assert cells["| users: old"] == f"{old['true_positives'] / churners:.0%} |"
    assert cells["| card_type: other"] == "too few users |"


def test_a_name_in_a_picture_is_no_formula(tmp_path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    draw_segments(axes, [{"segment": f"card_type: {name}", "users": 1, "roc_auc": None} for name in ("$^$", "$x$")])
    save_picture(figure, tmp_path / "segments.png")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["card_type: $x$ (1)", "card_type: $^$ (1)"]


def test_the_reason_of_a_decision_names_a_segment_briefly():
    rows = with_cards(make_rows(2000, seed=3), np.array([LONG + "y", "GOLD"] * 1000, dtype=object))
    good = np.clip(rows["label"].to_numpy() * 0.5 + np.random.default_rng(0).random(2000) * 0.5, 0, 1)
    poor_for_one_card = np.where(np.arange(2000) % 2, good, 1 - good)
    limits = {"min_roc_auc": 0, "max_ece": 1, "min_delta": 0, "confidence": None, "max_segment_loss": 0.05}
    decision = decide(rows, poor_for_one_card, good, limits)
    assert decision["decision"] == "skip" and f"(card_type: {LONG[:60]})" in decision["reason"]
    assert len(decision["reason"]) < 1000


def test_the_reason_of_a_decision_is_one_line():
    rows = with_cards(make_rows(2000, seed=3), np.array(["GOLD", EVIL] * 1000, dtype=object))
    good = np.clip(rows["label"].to_numpy() * 0.5 + np.random.default_rng(0).random(2000) * 0.5, 0, 1)
    poor_for_one_card = np.where(np.arange(2000) % 2, 1 - good, good)
    limits = {"min_roc_auc": 0, "max_ece": 1, "min_delta": 0, "confidence": None, "max_segment_loss": 0.05}
    reason = decide(rows, poor_for_one_card, good, limits)["reason"]
    assert f"(card_type: {SHOWN})" in reason and "\n" not in reason


def test_hundreds_of_thousands_of_card_types_need_little_memory():
    users = 100_000
    rows = with_cards(make_rows(users, seed=4), np.array([f"type {user}" for user in range(users)], dtype=object))
    masks = find_segments(rows).values()
    assert sum(mask.nbytes for mask in masks) < 10_000_000
