"""What a plain PySpark script takes for the fits of train_model: no checks, no scorer, no plots.

python bare_spark.py TRAIN HOLDOUT PARAMS     prints the holdout's ROC AUC
"""

import sys
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from pyspark.ml import Pipeline
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
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
    """Read, cross-validate, fit, fit the three-feature baseline, score the holdout."""
    section = yaml.safe_load(Path(params).read_text())["train_model"]
    spark = SparkSession.builder.master("local[2]").config("spark.driver.memory", "2g").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    features = [name for name in pq.read_schema(train).names if name not in NOT_FEATURES]
    logarithm = {name: signum(name) * log1p(absolute(name)) for name in section["log_features"]}
    columns = [logarithm.get(name, col(name)).cast("float").alias(name) for name in features]
    fold = (absolute(xxhash64("user_id")) % section["folds"]).cast("int").alias("fold")
    rows, rest = (spark.read.parquet(path).select("label", fold, *columns) for path in (train, holdout))
    preparation = prepare(features).fit(rows)
    prepared = preparation.transform(rows).select("label", "fold", "scaled").cache()
    estimator = ESTIMATORS[section["family"]](featuresCol="scaled")
    grid = ParamGridBuilder()
    for name, values in section["grids"][section["family"]].items():
        grid.addGrid(estimator.getParam(name), values)
    evaluator = BinaryClassificationEvaluator()
    search = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid.build(),
        evaluator=evaluator,
        numFolds=section["folds"],
        foldCol="fold",
        parallelism=2,
    )
    model = search.fit(prepared)
    print(evaluator.evaluate(model.transform(preparation.transform(rest))))
    simple = prepare(RFM).fit(rows)
    fitted = LogisticRegression(featuresCol="scaled").fit(simple.transform(rows))
    print(evaluator.evaluate(fitted.transform(simple.transform(rest))))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
