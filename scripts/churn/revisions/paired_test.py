"""The paired test: both revisions' models score the same rows, those of the newer holdout."""

import io
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.evaluation.delong import CONFIDENCE, gain_interval
from churn.evaluation.metrics import measure
from churn.revisions.revision import MissingOutputError, Revision

SCORER, HOLDOUT = "models/candidate", "data/training/holdout.parquet"
COMPARED = ("roc_auc", "roc_auc_low", "roc_auc_high", "pr_auc", "log_loss", "brier", "ece")


@dataclass(frozen=True)
class PairedTest:
    """The result of the test.

    Attributes
    ----------
    verdict : str
        better, worse, no difference beyond chance, same model, or not tested.
    message : str
        The result in a sentence, with its numbers.
    measures : list of dict
        The measures of the base's and of the head's model on the rows; empty if not tested.
    gain : tuple of float
        The head's ROC AUC minus the base's, with the bounds of its interval; empty if not tested.
    """

    verdict: str
    message: str
    measures: list[dict[str, float]] = field(default_factory=list)
    gain: tuple[float, ...] = ()


def run_paired_test(base: Revision, head: Revision) -> PairedTest:
    """Score the newer holdout with both models and test the difference of their ROC AUCs (DeLong)."""
    holder = pick_holdout(base, head)
    try:
        rows = read_rows(holder)
        models = [one.read_output(SCORER, "scorer.onnx")["scorer.onnx"] for one in (base, head)]
        scores = [score(model, rows, one, holder) for model, one in zip(models, (base, head), strict=True)]
    except MissingOutputError as error:
        return PairedTest("not tested", f"The two models were not tested on the same rows: {error}")
    label = rows["label"].to_numpy()
    # Measures that depend on a threshold are not compared.
    found = [measure(label, probability, threshold=0.5) for probability in scores]
    measures = [{name: one[name] for name in COMPARED} for one in found]
    where = describe_holdout(holder, len(rows))
    if models[0] == models[1]:
        message = f"Its ROC AUC on {where} is {measures[0]['roc_auc']:.4f}."
        return PairedTest("same model", message, measures, (0.0, 0.0, 0.0))
    gain, low, high = gain_interval(label, scores[1], scores[0])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference beyond chance"
    message = (
        f"On {where} the ROC AUC of {head.name} is {measures[1]['roc_auc']:.4f} and that of {base.name} "
        f"{measures[0]['roc_auc']:.4f}: a difference of {gain:+.4f} ({CONFIDENCE:.0%} interval {low:+.4f} to "
        f"{high:+.4f}, DeLong's paired test)."
    )
    return PairedTest(verdict, message, measures, (gain, low, high))


def pick_holdout(base: Revision, head: Revision) -> Revision:
    """Return the revision with the later holdout, which neither model was trained on; the head if they are equal."""
    dates = [one.read_json("metrics/build_training_set.json").get("holdout_date", "") for one in (base, head)]
    return base if dates[0] > dates[1] else head


def read_rows(holder: Revision) -> pa.Table:
    """Return the rows of a revision's holdout."""
    parts = holder.read_output(HOLDOUT, ".parquet")
    return pa.concat_tables([pq.read_table(io.BytesIO(part)) for part in parts.values()], promote_options="default")


def score(model: bytes, rows: pa.Table, owner: Revision, holder: Revision) -> NDArray[np.float64]:
    """Return a model's probability of churn for each row; raise `MissingOutputError` if a feature is missing."""
    from churn.scoring.scorer import Scorer, open_session

    scorer = Scorer(open_session(model))
    if missing := [feature for feature in scorer.features if feature not in rows.column_names]:
        raise MissingOutputError(
            f"the model of {owner.name} needs the feature {', '.join(missing)}, which the holdout of {holder.name} "
            "lacks."
        )
    return scorer.score(rows)


def describe_holdout(holder: Revision, rows: int) -> str:
    """Return the holdout's date, revision, size and horizon in words."""
    training_set = holder.read_json("metrics/build_training_set.json")
    return (
        f"the holdout of {training_set['holdout_date']} of {holder.name} ({rows:,} users, a horizon of "
        f"{training_set['horizon_days']} days)"
    )
