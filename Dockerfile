# The image of compose.yaml's MLflow server, Spark and dashboard: the same packages as on the host.
FROM python:3.11.14-slim-bookworm
WORKDIR /churn
COPY requirements.lock .
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
