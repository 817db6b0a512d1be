"""The families of models: each entry here may be named by `train_model.family` and has its grid in params.yaml."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.ml import Estimator
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.param import Param

from churn.base.command import UserError, suggest
from churn.training.onnx_classifiers import Part, write_boosted, write_forest, write_linear


@dataclass(frozen=True)
class Family:
    """A classifier of Spark ML.

    Attributes
    ----------
    estimator : type
        Its class.
    write : callable
        How a fitted one is written in ONNX.
    settings : dict
        Its parameters that no grid sets.
    """

    estimator: type[Estimator]
    write: Callable[[Path], Part]
    settings: dict


FAMILIES = {
    # At Spark's own tolerance of 1e-6 the fits take twice as many passes, and no ROC AUC differs in its third digit.
    "logistic_regression": Family(LogisticRegression, write_linear, {"tol": 1e-4}),
    "random_forest": Family(RandomForestClassifier, write_forest, {"seed": 1}),
    "gradient_boosted_trees": Family(GBTClassifier, write_boosted, {"seed": 1}),
}


def choose_family(params: dict) -> tuple[Family, dict[str, list]]:
    """Return the family that section train_model of params.yaml names, and its grid.

    Raises
    ------
    UserError
        When there is no such family, it has no grid, or its grid names what is no parameter of its classifier.
    """
    name = params["family"]
    if name not in FAMILIES:
        raise UserError(f"train_model.family in params.yaml: {name!r} is no family. {suggest(name, FAMILIES)}")
    if name not in params["grids"]:
        raise UserError(f"train_model.grids in params.yaml has no grid for the family {name!r}. Restore it from git.")
    family, grid = FAMILIES[name], params["grids"][name]
    known = [parameter for parameter, value in inspect.getmembers(family.estimator) if isinstance(value, Param)]
    for parameter in grid:
        if parameter not in known:
            raise UserError(
                f"train_model.grids.{name} in params.yaml: {parameter!r} is no parameter of Spark's "
                f"{family.estimator.__name__}. {suggest(parameter, known)}"
            )
    return family, grid
