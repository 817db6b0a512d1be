# The image for MLflow, Spark and the dashboard in compose.yaml, with the same packages as on the host.
FROM python:3.11.14-slim-bookworm
WORKDIR /churn
COPY requirements.lock .
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
