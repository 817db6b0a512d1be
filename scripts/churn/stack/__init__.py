"""The servers on this machine: MinIO, PostgreSQL, the MLflow server, Spark, the dashboard; native or in containers.

May import: base, engines.
"""
