"""Drift in the demo: no alarms by default, and alarms for shifts planted in the CSVs of the newest drop."""

import csv
import io
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import ROOT
from drift_weeks import PARAMS

from build_features import build_features
from build_user_base import build_user_base
from churn.base.params import read_params
from churn.data.mapping import Mapping
from churn.demo.files import drop_files, payment_lines
from churn.demo.world import day_of, simulate_world
from churn.drift.limits import apply_limits, find_alarms
from churn.drift.measures import compare_drops
from churn.drift.sample import sample_drop
from churn.engines import open_engine
from clean_payments import clean_payments
from tools.demo import choose_dates

# Ten weeks: eight of them have at least two earlier ones.
DATES = choose_dates(10, date(2026, 3, 22))


@pytest.fixture(scope="module")
def demo_drops(tmp_path_factory) -> Path:
    """Ten weeks of the demo: raw files, user bases and features, computed by the stages."""
    folder = tmp_path_factory.mktemp("demo_drops")
    world = simulate_world(1, 5_000, DATES[-1])
    lines = payment_lines(world.payments)
    for drop in DATES:
        raw = folder / "raw" / str(drop)
        raw.mkdir(parents=True)
        for name, content in drop_files(world, lines, day_of(drop)).items():
            (raw / name).write_bytes(content)
        compute_features(folder, drop, payments=True)
    return folder


def compute_features(folder: Path, drop: date, payments: bool = False) -> None:
    """Run the data stages of a drop; payments are skipped by default, for when only user files changed."""
    params = read_params(ROOT / "params.yaml")
    raw, clean = folder / "raw" / str(drop), folder / "clean" / str(drop)
    with open_engine(params | {"duckdb": params["duckdb"] | {"spill_folder": str(folder / "spill")}}) as engine:
        if payments:
            tables = clean / "payments_clean.parquet", clean / "payments_rejects.parquet"
            coverage = folder / "coverage" / f"{drop}.json"
            clean_payments(engine, raw / "PAYMENTS.csv", drop, *tables, coverage, params["clean_payments"], Mapping())
        tables = clean / "user_base.parquet", clean / "user_base_rejects.parquet", folder / "counts.json"
        build_user_base(engine, raw, drop, *tables, params["build_user_base"], Mapping())
        features = folder / "features" / str(drop) / "churn_features.parquet"
        folders = folder / "clean", folder / "coverage"
        build_features(engine, *folders, drop, features, folder / "counts.json", params["build_features"])


def features_of(folder: Path, drop: date) -> pa.Table:
    rows = sample_drop(folder / "features" / str(drop) / "churn_features.parquet", drop, PARAMS["sample_users"]).rows
    return rows.drop_columns(["user_id", "as_of_date"])


def alarms_of(folder: Path, week: int) -> list[str]:
    earlier = DATES[max(0, week - PARAMS["reference_drops"]) : week]
    current, *reference = [features_of(folder, drop) for drop in (DATES[week], *earlier)]
    return find_alarms(apply_limits(compare_drops(current, pa.concat_tables(reference), PARAMS), PARAMS), PARAMS)


def test_eight_quiet_weeks_raise_no_alarm(demo_drops):
    assert {str(DATES[week]): alarms_of(demo_drops, week) for week in range(2, 10)} == {
        str(drop): [] for drop in DATES[2:]
    }


def older(row: dict, draw: float) -> None:
    """Shift the mean of a column."""
    if row["AGE"].isdigit():
        row["AGE"] = str(int(row["AGE"]) + 10)


def unknown(row: dict, draw: float) -> None:
    """Shift the share of missing values of a column."""
    if draw < 0.2:
        row["AGE"] = ""


def titanium(row: dict, draw: float) -> None:
    """Add a new category."""
    if draw < 0.05:
        row["CARD_TYPE"] = "TITANIUM"


PLANTED = {older: "age drifted: ", unknown: "age is missing for ", titanium: "card_type has a new category, TITANIUM: "}


@pytest.mark.parametrize("plant", PLANTED)
def test_only_the_planted_shift_is_found(demo_drops, plant):
    newest = demo_drops / "raw" / str(DATES[-1]) / "DEMOGRAFICOS.csv"
    as_delivered = newest.read_bytes()
    text = as_delivered.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    for row, draw in zip(rows, np.random.default_rng(1).random(len(rows)), strict=True):
        plant(row, draw)
    try:
        with newest.open("w", newline="") as file:
            writer = csv.DictWriter(file, text.splitlines()[0].split(","), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        compute_features(demo_drops, DATES[-1])
        alarms = alarms_of(demo_drops, 9)
        assert any(alarm.startswith(PLANTED[plant]) for alarm in alarms)
        assert {alarm.split()[0] for alarm in alarms} == {PLANTED[plant].split()[0]}
    finally:
        newest.write_bytes(as_delivered)
