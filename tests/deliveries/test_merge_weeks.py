"""Two people ingest a week each, on branches of their own; the branches merge, and nothing is lost or done again."""

import shutil
import sys

from conftest import run

from churn.base.drops import read_drops, write_list
from workflow.freshness.lock_blocks import read_blocks

# Every sign that git or a shell could misread in the path of a clone.
FOLDER = 'a %A 100% o\'brien "b" $c'


def test_two_people_ingest_a_week_each(demo_copy, tmp_path):
    demo_copy = demo_copy.rename(tmp_path / FOLDER)

    def command(*words):
        answer = run(*words, cwd=demo_copy)
        return answer.stdout + answer.stderr

    listed, lock = demo_copy / "data/drops.yaml", demo_copy / "dvc.lock"
    *before, eleventh, twelfth = read_drops(listed)
    weeks = {"ana": str(eleventh), "ben": str(twelfth)}
    # The repository as it was two weeks ago.
    blocks = read_blocks(lock)
    for day in weeks.values():
        shutil.move(demo_copy / "data/raw" / day, tmp_path / day)
        (demo_copy / "data/raw" / f"{day}.dvc").unlink()
        for made in (*demo_copy.glob(f"metrics/*/{day}.json"), *demo_copy.glob(f"data/[cf]*/{day}")):
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        blocks.stages = {name: block for name, block in blocks.stages.items() if day not in name}
    lock.write_text(blocks.whole([]))
    write_list(listed, "own", before)
    command(sys.executable, "-m", "workflow.freshness", "merge", "--install")
    command(sys.executable, "scripts", "update_drops", "--install")
    command("git", "add", "--all")
    command("git", "commit", "--quiet", "--message", "Two weeks ago")
    start = command("git", "rev-parse", "HEAD").strip()

    for name, day in weeks.items():
        command("git", "checkout", "--quiet", "-b", name, start)
        command(sys.executable, "scripts", "ingest", tmp_path / day, "--drop", day)
        command("snakemake", "--cores", "2", f"data/features/{day}/churn_features.parquet", f"data/drift/{day}")
        command("git", "add", "--all")
        command("git", "commit", "--quiet", "--message", f"The week of {name}")
    command("git", "merge", "--no-edit", "ana")
    assert read_drops(listed) == [*before, eleventh, twelfth]
    command("dvc", "checkout")
    assert all((demo_copy / "data/raw" / day / "PAYMENTS.csv").exists() for day in weeks.values())
    planned = command("snakemake", "--cores", "2", "--dry-run")
    assert "build_training_set" in planned
    stages = ("clean_payments", "build_user_base", "build_features")
    assert not any(f"{stage}@{day}" in planned for stage in stages for day in weeks.values()), "each ran his own"
    assert f"measure_drift@{twelfth}" in planned, "it was not compared with the other's week"
    assert f"measure_drift@{eleventh}" not in planned
