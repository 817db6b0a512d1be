"""With privacy.pseudonymise, the dataset in MLflow has no ids of users, and an erasure still finds them there."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run
from demo_pipeline import read, registry

from churn.base.command import UserError
from churn.data.mapping import Mapping
from churn.privacy.search import Search
from churn.privacy.subject import read_subject
from churn.release.pseudonyms import COLUMN, VARIABLE

KEY = "a key of the test's own"
REGISTER = ("python", "scripts/register_candidate.py", "--receipt", "receipt.json")


def test_the_dataset_has_pseudonyms_and_without_a_key_nothing_is_registered(demo_copy, tmp_path, monkeypatch):
    params = demo_copy / "params.yaml"
    params.write_text(params.read_text().replace("pseudonymise: false", "pseudonymise: true"))
    # Another threshold is another version.
    trained = read(demo_copy, "metrics/train_model.json") | {"threshold": 0.3}
    (demo_copy / "metrics/train_model.json").write_text(json.dumps(trained))
    for wrong in {}, {VARIABLE: "short"}:
        said = run(*REGISTER, cwd=demo_copy, fails=True, **wrong).stderr
        assert VARIABLE in said and "privacy.pseudonymise" in said and "Nothing was changed" in said
    assert not (demo_copy / "receipt.json").exists()
    run(*REGISTER, cwd=demo_copy, **{VARIABLE: KEY})
    client, made = registry(demo_copy), read(demo_copy, "receipt.json")
    assert made["version"] == "2"
    (clear,) = (client.get_model_version("churn-model", "1").run_id,)
    before, hidden = (
        pq.read_table(client.download_artifacts(run_id, "dataset/churn_features.parquet", str(folder)))
        for run_id, folder in ((clear, tmp_path), (made["run_id"], demo_copy))
    )
    assert "user_id" not in hidden.column_names and hidden.drop_columns([COLUMN]) == before.drop_columns(["user_id"])
    pairs = set(zip(before["user_id"].to_pylist(), hidden[COLUMN].to_pylist(), strict=True))
    users, pseudonyms = map(set, zip(*pairs, strict=True))
    assert len(pairs) == len(users) == len(pseudonyms), "one pseudonym for each user, in all rows"
    user, known = next(iter(pairs))
    monkeypatch.setenv(VARIABLE, KEY)
    assert read_subject(str(user), Mapping()).pseudonym == known


def test_an_erasure_finds_a_user_by_the_pseudonym_and_refuses_without_the_key(tmp_path, monkeypatch):
    path = tmp_path / "dataset.parquet"

    def search(user: str) -> Search:
        return Search(read_subject(user, Mapping()), Mapping(), Path(tmp_path))

    monkeypatch.setenv(VARIABLE, KEY)
    known = read_subject("7", Mapping()).pseudonym
    pq.write_table(pa.table({COLUMN: [known, "0" * 64], "age": [30, 40]}), path)
    assert search("7").finds(path) and not search("8").finds(path)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(UserError, match=f"{VARIABLE} is not set"):
        search("7").finds(path)
    monkeypatch.setenv(VARIABLE, KEY)
    search("007").remove(path)
    assert pq.read_table(path)["age"].to_pylist() == [40]
