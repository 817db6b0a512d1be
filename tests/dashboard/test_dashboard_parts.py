import sqlite3

import numpy as np
import pytest
from odd_values import SHOWN
from streamlit.testing.v1 import AppTest

from churn.dashboard.heuristic import churn_by_silence
from churn.dashboard.record import read_record
from churn.release.causes import hide_logins


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
    assert hide_logins("postgresql://me:secret@host:5432/mlflow") == "postgresql://host:5432/mlflow"
    assert hide_logins("sqlite:///mlflow.db") == "sqlite:///mlflow.db"
    assert hide_logins("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


def test_heuristic_is_half_at_the_horizon():
    days = np.array([0.0, 30.0, 90.0, np.nan, -1.0])
    np.testing.assert_allclose(churn_by_silence(days, 30), [0.0, 0.5, 0.75, np.nan, np.nan])


def test_names_from_the_data_are_shown_as_they_are():
    def page(name):
        from churn.dashboard.pages.drift import show_verdict

        alarm = f"card_type has a new category, {name}: 5.0% of the users."
        rates = {"churn_rates": {"2024-01-07": 0.1, "2024-02-07": 0.1}, "churn_rate": 0.1, "churn_rate_before": 0.1}
        drift = {"current_drop": "2024-03-10", "current_rows": 10, "reference_drops": [], "sampled_part": 1}
        target = {"as_of_date": "2024-02-07", "target_drifted": False}
        show_verdict(drift | rates | target | {"alarms": [alarm], "reason": f"there is only {name}"})

    shown = AppTest.from_function(page, args=(SHOWN,)).run()
    assert not shown.exception
    (alarm,), (words,) = shown.warning, shown.markdown
    for text in (alarm.value, words.value):
        assert "\\$^\\$ \\|" in text and "\\<" in text and "\\`y\\`" in text
