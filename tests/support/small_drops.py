"""Drops of a few users, run through the data stages in this process: for what depends on dates, not on size."""

import hashlib
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from conftest import ROOT
from text_ids import write_text_ids

from build_features import build_features
from build_training_set import build_training_set
from build_user_base import build_user_base
from churn.base.drops import write_list
from churn.base.params import read_params
from churn.data.mapping import Mapping
from churn.engines.duckdb import DuckDBEngine
from clean_payments import clean_payments

DAY = timedelta(days=1)
PARAMS = read_params(ROOT / "params.yaml")
MAPPING = Mapping()
# What was cleaned before, by drop, kind of ids and content: cleaning depends on nothing else, and takes the longest.
CLEANED: dict[tuple[date, bool, bytes], Path] = {}


def make_payments(first: date, days: int, users: int = 40, seed: int = 0) -> pd.DataFrame:
    """Return payments of users who come and go: user, day and amount."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        joins = random.integers(-60, days)
        stays = random.integers(40, days)
        paid = [day for day in range(max(0, joins), min(days, joins + stays)) if random.random() < 0.15]
        rows += [(first + timedelta(days=day), user + 1, random.integers(100, 9999) / 100) for day in paid]
    # Somebody pays every day, so that a drop ends on its date.
    rows += [(first + timedelta(days=day), 999, 1.0) for day in range(days)]
    return pd.DataFrame(rows, columns=["day", "user", "spent"])


class Deliveries:
    """Drops in a folder, and the training set that comes of them."""

    def __init__(self, folder: Path, horizon: int = 30, lookback: int = 90):
        self.folder, self.drops = folder, []
        self.params = PARAMS["build_features"] | PARAMS["build_training_set"]
        self.params |= {"horizon_days": horizon, "lookback_days": lookback}
        self.has_text_ids = False
        self._engine = DuckDBEngine("1GB", "")

    def deliver(self, payments: pd.DataFrame, drop: date, history: int = 180) -> None:
        """Deliver the payments of the days up to a date, and run the stages of the drop."""
        known = payments[(payments.day <= drop) & (payments.day > drop - timedelta(days=history))]
        raw = self.folder / "raw" / str(drop)
        raw.mkdir(parents=True, exist_ok=True)
        (raw / "PAYMENTS.csv").write_text(
            "FECHA,CUS_CUST_ID_SEL,CUS_CUST_ID_BUY,SPENT,TPV_SEGMENT_DETAIL,DESCUENTO\n"
            + "".join(f"{row.day},S,{row.user},{row.spent:.2f},Instore,\n" for row in known.itertuples())
        )
        users = sorted(known.user.unique())
        # What the drop says of a user depends on its date.
        files = {
            "ACTIVE_USER.csv": ("MAU_MP_1,MAU_ML_1,MAU_ML_2,last_login_mp_date_1", f"{drop.day},1,1,"),
            "DEMOGRAFICOS.csv": ("AGE,GENDER,CARD_TYPE,CITY", "30,F,GOLD,"),
            "DINERO_CUENTA.csv": ("PLATA_CUENTA_1,PLATA_CUENTA_2,INVERSION", "1,2,"),
            "MARKETPLACE_DATA.csv": ("SPENT_ML,RECENCY_ML,FREQUENCY_ML", "1,,1"),
        }
        for name, (columns, values) in files.items():
            rows = "".join(f"{user},{values}\n" for user in users)
            (raw / name).write_text(f"CUS_CUST_ID_BUY,{columns}\n{rows}")
        self.run_stages(drop)
        self.drops = sorted({*self.drops, drop})

    def run_stages(self, drop: date) -> None:
        """Clean a drop, unless an earlier one had the same files, and compute its features."""
        raw = self.folder / "raw" / str(drop)
        content = b"".join(path.read_bytes() for path in sorted(raw.iterdir()))
        key = drop, self.has_text_ids, hashlib.sha256(content).digest()
        if key not in CLEANED:
            # Apart from what a test may change.
            CLEANED[key] = Path(tempfile.mkdtemp(dir=self.folder))
            self.clean(drop, raw, CLEANED[key])
        shutil.rmtree(self.folder / "clean" / str(drop), ignore_errors=True)
        shutil.copytree(CLEANED[key], self.folder, dirs_exist_ok=True)
        self.compute_features(drop)

    def clean(self, drop: date, raw: Path, folder: Path) -> None:
        """Clean a drop into a folder."""
        clean, coverage = folder / "clean" / str(drop), folder / "coverage" / f"{drop}.json"
        counts = folder / "counts" / str(drop) / "users.json"
        tables = clean / "payments_clean.parquet", clean / "payments_rejects.parquet"
        settings = PARAMS["clean_payments"] | {"max_reject_share": 0.5}
        clean_payments(self._engine, raw / "PAYMENTS.csv", drop, *tables, coverage, settings, MAPPING)
        tables = clean / "user_base.parquet", clean / "user_base_rejects.parquet"
        build_user_base(self._engine, raw, drop, *tables, counts, PARAMS["build_user_base"], MAPPING)
        if self.has_text_ids:
            for name in ("payments_clean.parquet", "user_base.parquet"):
                write_text_ids(clean / name, clean / name, "CUS_CUST_ID_BUY")

    def compute_features(self, drop: date) -> None:
        """Compute the features of a cleaned drop."""
        features = self.folder / "features" / str(drop) / "churn_features.parquet"
        folders, counts = (self.folder / "clean", self.folder / "coverage"), self.folder / "counts" / str(drop)
        build_features(self._engine, *folders, drop, features, counts / "features.json", self.params)

    def build(self, *listed: date) -> pd.DataFrame:
        """Build the training set, and return training rows and holdout together, sorted by date and user."""
        write_list(self.folder / "drops.yaml", "own", self.drops)
        params = self.params | {"as_of_dates": [str(day) for day in listed]}
        outputs = [self.folder / name for name in ("train.parquet", "holdout.parquet", "metrics.json")]
        folders = [self.folder / name for name in ("clean", "features", "coverage")]
        build_training_set(self._engine, *folders, self.folder / "drops.yaml", *outputs, params)
        return pd.concat([pq.read_table(path).to_pandas() for path in outputs[:2]], ignore_index=True)


def expected_labels(payments: pd.DataFrame, days: list[date], horizon: int, lookback: int = 90) -> dict:
    """Work out the labels from all payments, in a few lines of pandas: by date, who stays (0) and who churns (1)."""
    found = {}
    for day in days:
        known = payments[(payments.day <= day) & (payments.day > day - timedelta(days=lookback))].user.unique()
        after = payments[(payments.day > day) & (payments.day <= day + timedelta(days=horizon))].user.unique()
        found |= {(day, user): int(user not in after) for user in known}
    return found


def labels_of(rows: pd.DataFrame) -> dict:
    """Return the labels of a training set in the same form."""
    return dict(zip(zip(rows.as_of_date, rows.user_id, strict=True), rows.label, strict=True))
