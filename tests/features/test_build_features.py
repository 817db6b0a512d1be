"""Features of a drop and counts of its users; the same bytes on any machine and in every run."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, call_script, run

from churn.features.meanings import digest_features

DROP = "2024-06-15"
FILES = {
    "PAYMENTS.csv": [
        "FECHA,CUS_CUST_ID_SEL,CUS_CUST_ID_BUY,SPENT,TPV_SEGMENT_DETAIL,DESCUENTO",
        *(
            f"2024-0{month}-01,S{user},{user},{user}.{month}5,Instore,0.1"
            for month in range(1, 7)
            for user in (1, 2, 3)
        ),
    ],
    "ACTIVE_USER.csv": ["CUS_CUST_ID_BUY,MAU_MP_1,MAU_ML_1,MAU_ML_2,last_login_mp_date_1", "1,8,5,4,", "8,1,1,1,"],
    "DEMOGRAFICOS.csv": ["CUS_CUST_ID_BUY,AGE,GENDER,CARD_TYPE,CITY", "1,34,F,,Córdoba", "2,30,M,,", "3,31,F,,"],
    "DINERO_CUENTA.csv": ["CUS_CUST_ID_BUY,PLATA_CUENTA_1,PLATA_CUENTA_2,INVERSION", "1,8,7,Elegible", "9,1,1,"],
    "MARKETPLACE_DATA.csv": ["CUS_CUST_ID_BUY,SPENT_ML,RECENCY_ML,FREQUENCY_ML", "1,430.0,,6", "2,1.0,,1"],
}


@pytest.fixture
def raw(write_csv) -> Path:
    for name, lines in FILES.items():
        folder = write_csv(name, *lines).parent
    return folder


def run_stages(raw: Path, folder: Path, run_stage: Callable[..., object]) -> dict[str, bytes]:
    """Clean the drop and compute its features in a folder; return every file written."""
    folders = {
        "clean_payments": ("--raw", raw.parent),
        "build_user_base": ("--raw", raw.parent),
        "build_features": ("--features", folder / "features", "--coverage", folder / "metrics" / "clean_payments"),
    }
    for name, arguments in folders.items():
        common = ("--clean", folder / "clean", "--metrics", folder / "metrics" / name, "--params", ROOT / "params.yaml")
        run_stage(name, "--drop", DROP, *arguments, *common)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_process(cwd: Path, *prefix: str, **environment: str) -> Callable[..., object]:
    """Return a function that runs a stage as a process of its own, in a folder and an environment."""

    def run_stage(name: str, *arguments: object) -> None:
        run(*prefix, sys.executable, ROOT / "scripts" / f"{name}.py", *arguments, cwd=cwd, **environment)

    return run_stage


def test_payers_and_users_missing_from_files_are_counted(raw, tmp_path):
    written = run_stages(raw, tmp_path / "here", call_script)
    counts = json.loads(written[f"metrics/build_features/{DROP}.json"])
    assert counts.pop("feature_digests") == digest_features() and counts.pop("lookback_days") == 90
    assert counts == {
        "users": 3,
        "payers": 3,
        "payers_unknown_to": {
            "ACTIVE_USER.csv": 2,
            "DEMOGRAFICOS.csv": 0,
            "DINERO_CUENTA.csv": 2,
            "MARKETPLACE_DATA.csv": 1,
        },
        "users_who_never_pay": 2,
    }
    features = pq.read_table(tmp_path / f"here/features/{DROP}/churn_features.parquet").to_pylist()
    assert [row["user_id"] for row in features] == [1, 2, 3]
    assert features[1]["mau_mp_1"] is None and features[1]["age"] == 30


def test_cores_folder_time_zone_and_locale_do_not_change_the_bytes(raw, tmp_path):
    # Enough rows for DuckDB to use several threads.
    lines = [
        f"2024-0{month}-{day:02},S{user % 7},{user},{user}.{day}5,Instore,0.1"
        for user in range(3000)
        for month in (3, 4, 5)
        for day in range(1, 30)
    ]
    (raw / "PAYMENTS.csv").write_text("\n".join([FILES["PAYMENTS.csv"][0], *FILES["PAYMENTS.csv"][1:], *lines, ""]))
    two = run_stages(raw, tmp_path / "two", in_a_process(raw, TZ="UTC", LC_ALL="C.UTF-8"))
    elsewhere = Path(shutil.copytree(raw, tmp_path / "otra carpeta" / DROP))
    settings = {"TZ": "America/Argentina/Buenos_Aires", "LC_ALL": "es_AR.UTF-8"}
    one = run_stages(elsewhere, tmp_path / "uno", in_a_process(elsewhere, "taskset", "--cpu-list", "0", **settings))
    assert len(two) == 8
    assert {name for name in two if one[name] != two[name]} == set()


def test_the_error_for_too_little_memory_names_the_parameter(raw, tmp_path):
    run_stages(raw, tmp_path, call_script)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["duckdb"]["memory_limit"] = "1MB"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    paths = {name: tmp_path / name for name in ("clean", "params.yaml", "output", "metrics")}
    message = call_script(
        "build_features",
        *("--clean", paths["clean"], "--drop", DROP, "--params", paths["params.yaml"]),
        *("--features", paths["output"], "--metrics", paths["metrics"]),
        *("--coverage", paths["metrics"] / "clean_payments"),
        fails=True,
    ).stderr
    assert "raise duckdb.memory_limit (1MB)" in message
    assert not [path for path in paths["output"].rglob("*") if path.is_file()], "a failed stage leaves nothing behind"
