"""Fit the models of train_model in plain PySpark, without checks, scorer or plots: the baseline of the benchmark.

python bare_spark.py TRAIN HOLDOUT PARAMS     prints the holdout's ROC AUC
"""

import sys
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from pyspark.ml import Pipeline
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, VectorAssembler
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql import SparkSession
from pyspark.sql.functions import abs as absolute
from pyspark.sql.functions import col, log1p, signum, xxhash64

NOT_FEATURES = ("user_id", "as_of_date", "card_type", "label")
RFM = ["days_since_last_payment", "active_days", "payments_sum"]
ESTIMATORS = {
    "logistic_regression": partial(LogisticRegression, tol=1e-4),
    "random_forest": partial(RandomForestClassifier, seed=1),
    "gradient_boosted_trees": partial(GBTClassifier, seed=1),
}


def prepare(features: list[str]) -> Pipeline:
    """Return the stages from columns to the vector `scaled`."""
    known = [f"{name}_known" for name in features]
    return Pipeline(
        stages=[
            Imputer(strategy="median", inputCols=features, outputCols=known),
            VectorAssembler(inputCols=known, outputCol="assembled"),
            StandardScaler(withMean=True, inputCol="assembled", outputCol="scaled"),
        ]
    )


def main(train: str, holdout: str, params: str) -> None:
    """Cross-validate, fit the best point and the three-feature baseline, and score the holdout."""
    section = yaml.safe_load(Path(params).read_text())["train_model"]
    spark = SparkSession.builder.master("local[2]").config("spark.driver.memory", "2g").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    features = [name for name in pq.read_schema(train).names if name not in NOT_FEATURES]
    logarithm = {name: signum(name) * log1p(absolute(name)) for name in section["log_features"]}
    columns = [logarithm.get(name, col(name)).cast("float").alias(name) for name in features]
    fold = absolute(xxhash64("user_id")) % section["folds"]
    rows, rest = (spark.read.parquet(path).select("label", fold.alias("fold"), *columns) for path in (train, holdout))
    rows.cache()
    estimator = ESTIMATORS[section["family"]](featuresCol="scaled")
    grid = ParamGridBuilder()
    for name, values in section["grids"][section["family"]].items():
        grid.addGrid(estimator.getParam(name), values)
    points = grid.build()
    evaluator = BinaryClassificationEvaluator()
    scores = [0.0] * len(points)
    for number in range(section["folds"]):
        training, held_out = rows.filter(rows.fold != number), rows.filter(rows.fold == number)
        preparation = prepare(features).fit(training)
        training, held_out = (
            preparation.transform(part).select("label", "scaled").cache() for part in (training, held_out)
        )
        with ThreadPool(2) as pool:
            models = pool.map(lambda point, training=training: estimator.fit(training, point), points)
        for index, model in enumerate(models):
            scores[index] += evaluator.evaluate(model.transform(held_out))
        training.unpersist()
        held_out.unpersist()
    preparation = prepare(features).fit(rows)
    prepared = preparation.transform(rows).select("label", "scaled").cache()
    model = estimator.fit(prepared, points[scores.index(max(scores))])
    print(evaluator.evaluate(model.transform(preparation.transform(rest))))
    simple = prepare(RFM).fit(rows)
    fitted = LogisticRegression(featuresCol="scaled").fit(simple.transform(rows))
    print(evaluator.evaluate(fitted.transform(simple.transform(rest))))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
