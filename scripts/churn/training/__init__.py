"""Train the candidate on Spark: training rows, model families, grid search, baselines, the ONNX export, plots.
Training never touches the registry.

May import: base, engines, evaluation, features, pictures.
"""
