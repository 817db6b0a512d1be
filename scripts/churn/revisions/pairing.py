"""Score holdouts and pair their rows by user.

Only ids, labels and probabilities of a whole holdout are in memory; its features are read in batches.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.revisions.revision import MissingOutputError, Revision

SCORER, HOLDOUT = "models/candidate", "data/training/holdout.parquet"
KEYS = ("user_id", "label")
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class ScoredRows:
    """Users of a holdout with their labels and the probability of churn by each model, in the same order."""

    users: pa.Array
    label: NDArray[np.int32]
    scores: list[NDArray[np.float64]]


@dataclass(frozen=True)
class Pairs:
    """The users of a test and how many are not in it.

    Attributes
    ----------
    label : numpy.ndarray
        int32 of shape (users,), 1 for churned.
    scores : list of numpy.ndarray
        The probability of churn by the base's and by the head's model, each of shape (users,).
    only_base, only_head : int
        Users that only one of the holdouts has.
    relabelled : int
        Users of both with different labels; they are not in the test.
    """

    label: NDArray[np.int32]
    scores: list[NDArray[np.float64]]
    only_base: int = 0
    only_head: int = 0
    relabelled: int = 0


def read_scorer(revision: Revision) -> bytes:
    """Return a revision's model; raise `MissingOutputError` if it is missing here."""
    return revision.read_output(SCORER, "scorer.onnx")["scorer.onnx"]


def score_rows(holder: Revision, models: dict[str, bytes]) -> ScoredRows:
    """Score a revision's holdout.

    Parameters
    ----------
    holder : Revision
        Whose holdout it is.
    models : dict of bytes
        scorer.onnx by the name of its revision.

    Raises
    ------
    MissingOutputError
        When the holdout is missing here, or lacks a feature of a model.
    """
    from churn.scoring.scorer import Scorer, open_session

    scorers = [Scorer(open_session(model)) for model in models.values()]
    features = {feature for scorer in scorers for feature in scorer.features}
    users, labels = [], []
    scores: list[list[NDArray[np.float64]]] = [[] for _ in scorers]
    for part in read_parts(holder):
        for name, scorer in zip(models, scorers, strict=True):
            if missing := [feature for feature in scorer.features if feature not in part.schema_arrow.names]:
                raise MissingOutputError(
                    f"The model of {name} needs the feature {', '.join(missing)}, which the holdout of {holder.name} "
                    "lacks"
                )
        for batch in part.iter_batches(BATCH_ROWS, columns=[*KEYS, *sorted(features)]):
            table = pa.Table.from_batches([batch])
            users.append(batch["user_id"])
            labels.append(batch["label"].to_numpy())
            for found, scorer in zip(scores, scorers, strict=True):
                found.append(scorer.score(table))
    return ScoredRows(pa.concat_arrays(users), np.concatenate(labels), [np.concatenate(found) for found in scores])


def read_parts(holder: Revision) -> Iterator[pq.ParquetFile]:
    """Yield the files of a revision's holdout; each is released before the next is opened."""
    parts = holder.read_output(HOLDOUT, ".parquet")
    for name in list(parts):
        yield pq.ParquetFile(io.BytesIO(parts.pop(name)))


def pair_users(base: ScoredRows, head: ScoredRows) -> Pairs:
    """Pair the rows of two holdouts by user; each holdout has a user once."""
    ours, theirs = head.users, base.users
    if ours.type != theirs.type:
        # With another column of data/mapping.yaml, the same ids can be whole numbers in one and text in the other.
        ours, theirs = ours.cast(pa.string()), theirs.cast(pa.string())
    place = pc.index_in(ours, value_set=theirs)
    in_head = np.flatnonzero(place.is_valid())
    in_base = place.drop_null().to_numpy()
    same = base.label[in_base] == head.label[in_head]
    return Pairs(
        head.label[in_head][same],
        [base.scores[0][in_base][same], head.scores[0][in_head][same]],
        only_base=len(theirs) - len(in_base),
        only_head=len(ours) - len(in_head),
        relabelled=int(np.count_nonzero(~same)),
    )
