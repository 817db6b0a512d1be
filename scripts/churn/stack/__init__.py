"""Start and stop the servers: MinIO, PostgreSQL, MLflow, Spark and the dashboard, natively or in containers.

May import: base, engines.
"""
