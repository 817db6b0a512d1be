import sqlite3

import numpy as np
import pytest

from churn.dashboard.heuristic import churn_by_silence
from churn.dashboard.record import hide_password, read_record


def test_damaged_store_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    (tmp_path / "mlflow.db").write_text("no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / "mlflow.db").execute("SELECT * FROM runs")
    record = read_record()
    assert "sqlite:///mlflow.db cannot be read" in record.problem and "\n" not in record.problem
    assert "Restore that store" in record.fix


def test_password_is_not_shown():
    assert hide_password("postgresql://me:secret@host:5432/mlflow") == "postgresql://host:5432/mlflow"
    assert hide_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"
    assert hide_password("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


def test_heuristic_is_half_at_the_horizon():
    days = np.array([0.0, 30.0, 90.0, np.nan, -1.0])
    np.testing.assert_allclose(churn_by_silence(days, 30), [0.0, 0.5, 0.75, np.nan, np.nan])
