"""The notebook runs from either folder, gives score_users' numbers, shows its pictures, and is kept without them."""

import base64
import sys
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest
from conftest import ENVIRONMENT, ROOT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = ROOT / "notebooks" / "production_model.ipynb"
# What a user would do by hand: keep the numbers, and ask which Python this is.
KEEP = """
scored.to_parquet("from_notebook.parquet")
print(sys.executable)
"""


def open_notebook(folder: Path, monkeypatch) -> NotebookClient:
    """Open the notebook in a folder, with the kernel of this Python and nothing of the user's own settings."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    resources = {"metadata": {"path": str(folder)}}
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)


def outputs(notebook, kind: str) -> list:
    return [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == kind]


def test_it_gives_the_numbers_of_score_users_and_shows_its_pictures_and_says_what_to_run(demo_copy, monkeypatch):
    (demo_copy / "notebooks").mkdir(exist_ok=True)
    client = open_notebook(demo_copy / "notebooks", monkeypatch)
    notebook = client.nb
    notebook.cells.append(nbformat.v4.new_code_cell(KEEP))
    # The kernel stays for what follows: it has imported everything.
    client.execute(env=ENVIRONMENT | {"IPYTHONDIR": str(demo_copy / ".ipython")}, cleanup_kc=False)
    assert notebook.cells[-1].outputs[0].text.strip() == sys.executable
    (path,) = (demo_copy / "data" / "scores").glob("*/scores.parquet")
    scores = pq.read_table(path).drop_columns("model_version")
    assert pq.read_table(demo_copy / "from_notebook.parquet").to_pydict() == scores.to_pydict()
    pictures = [output.data["image/png"] for output in outputs(notebook, "display_data")]
    assert len(pictures) == 4
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") and len(picture) > 10_000 for picture in pictures)
    assert {output.name for output in outputs(notebook, "stream")} == {"stdout"}
    # Again, now from the repository's folder, where a registry has no Production.
    empty = nbformat.v4.new_code_cell(f"%env MLFLOW_TRACKING_URI=sqlite:///{demo_copy}/empty.db")
    client.nb = notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(0, empty)
    with pytest.raises(CellExecutionError):
        client.execute()
    said = [output.text for output in outputs(notebook, "stream") if "ERROR" in output.text]
    assert len(said) == 1 and not outputs(notebook, "error")
    assert said[0].splitlines()[-1].startswith("ERROR: churn-model at sqlite:///")
    assert "has no version with the alias 'production'. Run: make run" in said[0]


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code), "clear all outputs, then save"
    assert notebook.metadata.kernelspec.name == "python3"
