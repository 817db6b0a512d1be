import subprocess
import sys
from datetime import date

import pytest
from conftest import run_script

from churn.base.command import UserError
from churn.base.drops import read_list, write_list
from tools.clear_demo import clear_demo
from tools.demo import make_demo_drops

MADE = (
    "dvc.lock",
    "data/clean/2026-03-22/user_base.parquet",
    "data/features/2026-03-22/churn_features.parquet",
    "data/training/train.parquet",
    "data/scores/2026-03-22/scores.parquet",
    "models/candidate/scorer.onnx",
    "metrics/train_model.json",
    "metrics/clean_payments/2026-03-22.json",
    "plots/train_model/roc.json",
    "reports/drift/2026-03-22.html",
)
KEPT = ("mlflow.db", "mlartifacts/1/model", "params.yaml")


def fill(root, paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_the_demo_is_removed_and_everything_else_is_kept(tmp_path, capsys):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    fill(tmp_path, [".dvc/config"])
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / ".gitignore").write_text("/data/raw/????-??-??/\n")
    listing, raw = tmp_path / "data/drops.yaml", tmp_path / "data/raw"
    make_demo_drops(raw, listing, users=30, drops=1, seed=1, last_drop=date(2026, 3, 22))
    fill(tmp_path, (*MADE, *KEPT))
    cached = sorted((tmp_path / ".dvc/cache").rglob("*"))

    clear_demo(tmp_path)
    assert read_list(listing) == ("none", [])
    assert not any((tmp_path / path).exists() for path in MADE)
    assert all((tmp_path / path).exists() for path in KEPT)
    assert not list(raw.iterdir())
    assert sorted((tmp_path / ".dvc/cache").rglob("*")) == cached
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "no data or pipelines" in status.stdout

    clear_demo(tmp_path)
    assert "no demo drops" in capsys.readouterr().out


def test_a_killed_clearing_is_finished_by_the_next(tmp_path):
    write_list(tmp_path / "data/drops.yaml", "demo", [date(2026, 3, 15), date(2026, 3, 22)])
    fill(tmp_path, ["data/raw/2026-03-22/PAYMENTS.csv", "data/raw/2026-03-22.dvc"])
    clear_demo(tmp_path)
    assert read_list(tmp_path / "data/drops.yaml") == ("none", [])
    assert not list((tmp_path / "data/raw").iterdir())


@pytest.mark.parametrize("absolute", [True, False])
def test_another_folder_is_cleared_and_the_current_one_is_kept(tmp_path, absolute):
    here, project = tmp_path / "here", tmp_path / "project"
    for folder in here, project:
        write_list(folder / "data/drops.yaml", "demo", [date(2026, 3, 22)])
        fill(folder, ["data/raw/2026-03-22/PAYMENTS.csv", "data/raw/2026-03-22.dvc", *MADE])
    run_script("clear_demo", "--root", project if absolute else "../project", cwd=here)
    assert [path for path in project.rglob("*") if path.is_file()] == [project / "data/drops.yaml"]
    assert all((here / path).exists() for path in ("data/raw/2026-03-22/PAYMENTS.csv", *MADE))


def test_own_drops_are_not_cleared(tmp_path):
    write_list(tmp_path / "data/drops.yaml", "own", [date(2026, 3, 22)])
    fill(tmp_path, ["data/raw/2026-03-22/PAYMENTS.csv", *MADE])
    with pytest.raises(UserError, match="your own drops"):
        clear_demo(tmp_path)
    assert all((tmp_path / path).exists() for path in ("data/raw/2026-03-22/PAYMENTS.csv", *MADE))
