"""Every command of README.md is run here, and README.es.md has the same commands, links and words of code."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, INSTALLED, ROOT, free_port, run
from demo_pipeline import read, registry

ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"


def commands(page: Path) -> list[str]:
    """Return the commands of a page, in their order, without what is said about them."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return list(dict.fromkeys(re.sub(r"\s+# .*", "", line).strip() for line in lines))


def shell(folder: Path, command: str, **environment: str) -> str:
    """Run a line as a user types it."""
    line = command.replace("make ", f"make {' '.join(INSTALLED)} ", 1) if command.startswith("make ") else command
    answer = run("bash", "-c", line, cwd=folder, **environment)
    return answer.stdout + answer.stderr


def serves(folder: Path, command: str, address: str, **environment: str) -> str:
    """Start a command that goes on until it is stopped; return what it answers at an address."""
    line = command.replace("make ", f"make {' '.join(INSTALLED)} ", 1)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=folder,
            env=ENVIRONMENT | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(240):
            assert process.poll() is None, (folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(address, timeout=10) as page:
                    return page.read().decode()
            except OSError:
                time.sleep(0.5)
        raise AssertionError((folder / "server.log").read_text())
    finally:
        subprocess.run(["kill", "-s", "TERM", "--", f"-{process.pid}"], check=False)
        process.wait(timeout=60)


@pytest.fixture
def history(demo_copy):
    """The small demo as its user keeps it: drops committed on main before the run that registered, and two versions."""
    run("git", "branch", "--move", "main", cwd=demo_copy)
    run("git", "add", "--all", cwd=demo_copy)
    run("git", "commit", "--quiet", "--message", "Two drops", cwd=demo_copy)
    (demo_copy / "mlflow.db").unlink()
    shutil.rmtree(demo_copy / "mlartifacts")
    run("snakemake", "--cores", "2", "reports/release/promote_model.json", cwd=demo_copy)
    client = registry(demo_copy)
    first = client.get_model_version("churn-model", "1")
    client.create_model_version("churn-model", first.source, first.run_id)
    client.set_registered_model_alias("churn-model", "previous", "2")
    return demo_copy


def activate(folder: Path, command: str) -> None:
    (folder / ".venv").symlink_to(sys.prefix)
    assert shell(folder, f"{command} && command -v dvc").strip().endswith(".venv/bin/dvc")


def run_all(folder: Path, command: str) -> None:
    printed = shell(folder, command)
    assert "Nothing to be done" in printed and "Decision    " in printed and "Look next   " in printed


def ask_why(folder: Path, command: str) -> None:
    params = folder / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("horizon_days: 30", "horizon_days: 31"))
    printed = shell(folder, command)
    params.write_text(before)
    shown = re.search(r"^\$ make why\n(.*?)^\.\.\.$", ENGLISH.read_text(), re.M | re.S)[1]
    assert printed.startswith(shown), "the README shows what it prints"


def reproduce(folder: Path, command: str) -> None:
    printed = shell(folder, command).splitlines()
    assert printed[-1] == "reproduced: the same bytes" and not any(line.startswith("Note") for line in printed)
    said = (folder / "logs/reproduce/version_1.log").read_text()
    assert said.count("Running stage") == 8, "three of each drop, the training set, the model"


def roll_back(folder: Path, command: str) -> None:
    assert "Production is version 2. Version 1 was rolled back: calls went up" in shell(folder, command)


def plan_runs(folder: Path, command: str) -> None:
    """A schedule is printed, not installed."""
    assert re.search(r"\.timer|scheduled_run", shell(folder, command))


def clear_demo(folder: Path, command: str) -> None:
    shutil.copytree(folder, folder.parent / "own", symlinks=True)
    assert "2 demo drops" in shell(folder.parent / "own", command)


def look_at_delivery(folder: Path, command: str) -> None:
    own, home, world = (folder.parent / name for name in ("own", "home", "world"))
    shutil.copytree(own, world, symlinks=True)
    shell(world, "python scripts demo --users 100 --drops 1 --last-drop 2026-03-29")
    shutil.copytree(world / "data/raw/2026-03-29", home / "deliveries/2026-03-29")
    assert "This delivery can be ingested" in shell(own, command, HOME=str(home))


def ingest(folder: Path, command: str) -> None:
    own, home = (folder.parent / name for name in ("own", "home"))
    assert "Drop 2026-03-29 is now in data/raw/2026-03-29" in shell(own, command, HOME=str(home))
    assert "source: own" in (own / "data/drops.yaml").read_text()


def try_forest(folder: Path, command: str) -> None:
    before = (folder / "reports/release/promote_model.json").read_bytes()
    # A small forest: the default's takes minutes where others work.
    small = "".join(f" -S 'train_model.grids.random_forest.{name}'" for name in ("numTrees=[5]", "maxDepth=[4]"))
    assert "Ran experiment" in shell(folder, command + small)
    assert read(folder, "metrics/train_model.json")["family"] == "random_forest"
    assert (folder / "reports/release/promote_model.json").read_bytes() == before


def compare(folder: Path, command: str) -> None:
    shell(folder, command)
    assert "random_forest" in (folder / "reports/compare/report.md").read_text()


def dashboard(folder: Path, command: str) -> None:
    port = str(free_port())
    settings = {"STREAMLIT_SERVER_PORT": port, "STREAMLIT_SERVER_HEADLESS": "true"}
    assert serves(folder, command, f"http://127.0.0.1:{port}/_stcore/health", **settings) == "ok"


def notebook(folder: Path, command: str) -> None:
    port, settings = free_port(), folder.parent / "jupyter"
    settings.mkdir()
    # Root may start it, no browser is opened, and the page asks for no token: all of them the user's own settings.
    own = {"allow_root": True, "open_browser": False, "port": port, "port_retries": 0}
    text = json.dumps({"ServerApp": own, "IdentityProvider": {"token": ""}, "ExtensionApp": {"open_browser": False}})
    (settings / "jupyter_server_config.json").write_text(text)
    address = f"http://127.0.0.1:{port}/api/contents/production_model.ipynb?content=0"
    said = serves(folder, command, address, JUPYTER_CONFIG_DIR=str(settings))
    assert json.loads(said)["type"] == "notebook"


def rehearse_test(folder: Path, command: str) -> None:
    """The tests cannot run inside a test: that the command would start them is what can be seen."""
    planned = shell(folder, command.replace("make", "make --dry-run"))
    everything = command == "make test-all"
    assert "python -m pytest" in planned and ('-m "not slow"' in planned) is not everything
    assert ("python scripts minio" in planned) is everything


def bench(folder: Path, command: str) -> None:
    assert "| build_features |" in shell(folder, f"{command} USERS=300")


def prints(text: str) -> Callable[[Path, str], None]:
    def check(folder: Path, command: str) -> None:
        assert text in shell(folder, command)

    return check


def report(folder: Path, command: str) -> None:
    shell(folder, command)
    assert "train_model" in (folder / "reports/pipeline_report.html").read_text()


def site(folder: Path, command: str) -> None:
    shell(folder, command)
    assert "churn-pipeline" in (folder / "site/index.html").read_text()


# How each command is run, and what is asked of it. What is in none of these fails a test: add it.
IN_THE_DEMO: dict[str, Callable[[Path, str], None]] = {
    "source .venv/bin/activate": activate,
    "make run": run_all,
    "dvc repro": prints("up to date"),
    "snakemake --cores 4": prints("Nothing to be done"),
    "make why": ask_why,
    "make schedule": plan_runs,
    "make inbox": prints("inbox"),
    "make report": report,
    "make ledger": prints("There is no Production yet"),
    "make score DROP=2026-03-15": prints("users of drop 2026-03-15 scored with version 1"),
    "make dashboard": dashboard,
    "make notebook": notebook,
    "make site": site,
    "make test": rehearse_test,
    "make test-all": rehearse_test,
    "make bench": bench,
    "make help": prints("make run"),
    "make clear-demo": clear_demo,
    "make check SOURCE=~/deliveries/2026-03-29": look_at_delivery,
    "make ingest SOURCE=~/deliveries/2026-03-29": ingest,
}
WITH_A_HISTORY: dict[str, Callable[[Path, str], None]] = {
    "make reproduce VERSION=1": reproduce,
    'make rollback WHY="calls went up"': roll_back,
    'make release-hold WHY="not the model"': prints("Promotions are released"),
    "dvc exp run -S train_model.family=random_forest": try_forest,
    "make experiments": prints("random_forest"),
    "dvc metrics diff": prints("roc_auc"),
    "dvc plots diff": prints("index.html"),
    "make compare BASE=main": compare,
}
# Commands that a test of their own runs.
IN_OTHER_TESTS = {"make lint": "test_graphs.py"}
ON_THE_STACK = ["make up", "make migrate-store", "make run", "make push", "make doctor", "make down"]


def test_every_command_of_the_readme_is_run_below():
    assert set(commands(ENGLISH)) == {*IN_THE_DEMO, *WITH_A_HISTORY, *IN_OTHER_TESTS, *ON_THE_STACK}
    for command, file in IN_OTHER_TESTS.items():
        words = ", ".join(f'"{word}"' for word in command.split())
        assert f"run({words}, " in (ROOT / "tests/pipeline" / file).read_text(), f"{file} does not run {command}"
    inline = set(re.findall(r"`(make [a-z-]+)[^`\n]*`", ENGLISH.read_text()))
    assert inline <= {" ".join(command.split()[:2]) for command in commands(ENGLISH)}


def run_each(checks: dict[str, Callable[[Path, str], None]], folder: Path) -> None:
    for command, check in checks.items():
        began = time.monotonic()
        check(folder, command)
        print(f"{time.monotonic() - began:5.1f} s  {command}")


@pytest.mark.slow
def test_the_commands_in_the_demo(demo_copy):
    run_each(IN_THE_DEMO, demo_copy)


@pytest.mark.slow
def test_the_commands_that_look_back(history):
    run_each(WITH_A_HISTORY, history)


def test_the_stack_does_too(ran_stack, stack, demo, tmp_path):
    """In the README's order, on the stack that the tests share: it is up again afterwards."""
    repository = stack.repository
    block = re.search(r"^```console\n\$ make up.*?^```", ENGLISH.read_text(), re.M | re.S)[0]
    assert re.findall(r"^\$ (make [a-z-]+)", block, re.M) == ON_THE_STACK
    printed = dict.fromkeys(ON_THE_STACK, "")
    try:
        for command in ON_THE_STACK:
            folder = repository
            if command == "make migrate-store":
                # A folder with a store of the first day, and the stack's addresses.
                folder = shutil.copytree(demo, tmp_path / "first-day", symlinks=True)
                shutil.copy2(repository / ".env", folder)
            printed[command] = stack.run(*command.split(), *INSTALLED, cwd=folder).stdout
    finally:
        stack.up()
    assert printed["make up"].count("127.0.0.1") >= 7
    assert re.search(r"version 1 of sqlite:///mlflow.db is version \d+ of http", printed["make migrate-store"])
    assert "Decision    " in printed["make run"] and stack.variables["MLFLOW_TRACKING_URI"] in printed["make run"]
    assert "checksum correct" in printed["make doctor"] and "FAULT" not in printed["make doctor"]
    assert "stopped" in printed["make down"]


def test_the_spanish_readme_says_the_same():
    english, spanish = ENGLISH.read_text(), SPANISH.read_text()
    assert commands(ENGLISH) == commands(SPANISH)

    def shape(text: str) -> list[str]:
        """Return the page's skeleton: depths of headings, blocks, rows of tables with how many cells."""
        kinds = re.findall(r"^(#+) |^(```\w*)|^(\|.*\|)$", re.sub(r"[^|#`\n\w]", "", text), re.M)
        return [heading or block or f"row of {row.count('|')}" for heading, block, row in kinds]

    assert shape(english) == shape(spanish)
    links = [re.findall(r"\]\(([^)]+)\)", text) for text in (english, spanish)]
    swap = {"README.md": "README.es.md", "docs/guides/bring-your-own-data.es.md": "docs/guides/bring-your-own-data.md"}
    assert links[0] == [swap.get(link, link) for link in links[1]]
    prose = [re.sub(r"^```.*?^```", "", text, flags=re.M | re.S) for text in (english, spanish)]
    words = [sorted(re.findall(r"`([^`\n]+)`", text)) for text in prose]
    assert words[0] == words[1]
    outputs = [
        re.sub(r"\s+# .*", "", "\n".join(re.findall(r"^```(.*?)^```", t, re.M | re.S))) for t in (english, spanish)
    ]
    assert outputs[0] == outputs[1]
