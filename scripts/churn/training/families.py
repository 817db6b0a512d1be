"""The model families: `train_model.family` in params.yaml selects one, and train_model.grids has a grid for each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        The classifier's class.
    write : callable
        Converts a fitted classifier, as saved by Spark, to ONNX.
    settings : dict
        Fixed parameters of the classifier, not in any grid.
    """

    estimator: type[Estimator[Any]]
    write: Callable[[Path], Part]
    settings: dict[str, Any]


FAMILIES = {
    # Spark's default tolerance of 1e-6 takes twice as many iterations, and changes no ROC AUC in the third digit.
    "logistic_regression": Family(LogisticRegression, write_linear, {"tol": 1e-4}),
    "random_forest": Family(RandomForestClassifier, write_forest, {"seed": 1}),
    "gradient_boosted_trees": Family(GBTClassifier, write_boosted, {"seed": 1}),
}


def choose_family(params: dict[str, Any]) -> tuple[Family, dict[str, list[Any]]]:
    """Return the family that section train_model of params.yaml selects, and its grid.

    Raises
    ------
    UserError
        When the family is unknown, has no grid, or its grid has a parameter that the classifier does not have.
    """
    name = params["family"]
    if name not in FAMILIES:
        raise UserError(f"train_model.family in params.yaml: unknown model family {name!r}. {suggest(name, FAMILIES)}")
    if name not in params["grids"]:
        raise UserError(f"train_model.grids in params.yaml has no grid for the family {name!r}. Restore it from git.")
    family, grid = FAMILIES[name], params["grids"][name]
    known = [parameter for parameter, value in inspect.getmembers(family.estimator) if isinstance(value, Param)]
    for parameter in grid:
        if parameter not in known:
            raise UserError(
                f"train_model.grids.{name} in params.yaml: {parameter!r} is not a parameter of Spark's "
                f"{family.estimator.__name__}. {suggest(parameter, known)}"
            )
    return family, grid
