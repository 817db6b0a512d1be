"""Compare two revisions: what changed in data, parameters and code, and whether the model is better.

Reads
    git, DVC's cache and remotes: params.yaml, data/drops.yaml, data/raw/*.dvc, metrics, plots/train_model,
    models/candidate/scorer.onnx and data/training/holdout.parquet of both
Writes
    report.md, for a comment on a pull request, and report.html, which has the pictures and opens offline
"""

import argparse
import os
from pathlib import Path

from churn.base.command import run_command
from churn.base.files import write_whole
from churn.revisions.differences import (
    compare_code,
    compare_drift,
    compare_drops,
    compare_measures,
    compare_rows,
    compare_values,
    list_commits,
    list_features,
)
from churn.revisions.pages import Section, Table, write_html, write_markdown
from churn.revisions.paired_test import PairedTest, run_paired_test
from churn.revisions.pictures import collect_pictures
from churn.revisions.revision import Revision, open_revision

VERDICTS = {
    "better": "{head} is better than {base}.",
    "worse": "{head} is worse than {base}.",
    "no difference beyond chance": "No difference beyond chance between {head} and {base}.",
    "same model": "No difference: {head} and {base} have the same model.",
    "not tested": "The models were not tested against each other.",
}


def compare_revisions(base: str, head: str | None, folder: Path) -> str:
    """Write both reports and return the verdict.

    Parameters
    ----------
    base, head : str
        A branch, a tag, a commit or a DVC experiment; `head` may be None for the working tree.
    folder : Path
        Where report.md and report.html go.

    Raises
    ------
    UserError
        When git and DVC do not know a revision, or it has no results.
    """
    then, now = open_revision(base), open_revision(head)
    test = run_paired_test(then, now)
    verdict = VERDICTS[test.verdict].format(base=then.name, head=now.name)
    verdict = verdict[0].upper() + verdict[1:] if now.is_tree else verdict
    title = f"Comparison of {now.name} with {then.name}"
    sections = [
        Section("", [verdict, test.message, *describe_revisions(then, now)]),
        describe_data(then, now),
        describe_params(then, now),
        describe_code(then, now),
        describe_metrics(then, now, test),
        describe_plots(then, now),
        describe_drift(then, now),
    ]
    for name, text in ("report.md", write_markdown(title, sections)), ("report.html", write_html(title, sections)):
        with write_whole(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    return f"{verdict} {test.message}"


def describe_revisions(base: Revision, head: Revision) -> list[str]:
    """Return which commits are compared, and what is special about the working tree."""
    sentences = [
        f"{base.name} is commit {base.commit[:7]}, {head.name} is {'based on ' * head.is_tree}commit {head.commit[:7]}."
    ]
    if uncommitted := head.list_uncommitted():
        files = ", ".join(uncommitted[:8])
        more = f" and {len(uncommitted) - 8} more" if len(uncommitted) > 8 else ""
        sentences.append(f"The comparison includes uncommitted changes: {files}{more}.")
    if stale := head.list_stale():
        sentences.append(
            f"The working tree's results are older than its data, parameters or code: {', '.join(stale)} must run "
            "again. Run make run (or dvc repro), then compare again."
        )
    return sentences


def describe_data(base: Revision, head: Revision) -> Section:
    """Describe the differences in drops, rows and training rows."""
    drops, rows = compare_drops(base, head), compare_rows(base, head)
    path = "metrics/build_training_set.json"
    training = compare_values(base.read_json(path), head.read_json(path))
    blocks = []
    if drops:
        blocks.append(Table(("drop", "change"), drops, "Drops that differ"))
    if rows:
        blocks.append(
            Table(("drop", "file", "rows in", "kept", "rejected", "reasons"), rows, "Files whose rows differ")
        )
    if training:
        blocks.append(Table(("training set", base.name, head.name), training, "Differences in the training set"))
    return Section("Data", blocks or ["The same drops, the same rows, the same training set."])


def describe_params(base: Revision, head: Revision) -> Section:
    """Describe the differences in parameters."""
    rows = compare_values(*(one.read_yaml("params.yaml") for one in (base, head)))
    table = Table(("parameter", base.name, head.name), rows, "Parameters that differ")
    return Section("Parameters", [table] if rows else ["The same parameters."])


def describe_code(base: Revision, head: Revision) -> Section:
    """Describe the differences in files, and the commits in between."""
    rows = compare_code(base, head)
    blocks = [Table(("file", "added", "removed"), rows, "Files that differ")] if rows else ["The same code."]
    for one, other in (head, base), (base, head):
        if commits := list_commits(other, one):
            title = f"Commits in {one.name} but not in {other.name}"
            blocks.append(Table(("commit", title), commits, title))
    return Section("Code", blocks)


def describe_metrics(base: Revision, head: Revision, test: PairedTest) -> Section:
    """Describe the measures of both models, on the same users if possible, and on the holdout of each."""
    then, now = (one.read_json("metrics/train_model.json") for one in (base, head))
    blocks = []
    if test.measures:
        rows = compare_measures(*test.measures)
        rows[0] = (*rows[0][:-1], "{:+.4f} ({:+.4f} to {:+.4f})".format(*test.gain))
        head_row = ("on the same users", base.name, head.name, "difference")
        blocks.append(Table(head_row, rows, "Measures on the same users"))
    families = compare_values(*({key: one.get(key) for key in ("family", "best_params")} for one in (then, now)))
    if families:
        blocks.append(Table(("model", base.name, head.name), families, "The models"))
    blocks += list_features(then, now)
    head_row = ("metrics/train_model.json", base.name, head.name, "difference")
    blocks.append(Table(head_row, compare_measures(then, now), "All measures of each revision on its own holdout"))
    return Section("Metrics", blocks)


def describe_plots(base: Revision, head: Revision) -> Section:
    """Show the plots of both revisions; Markdown can only say where they are."""
    pictures, missing = collect_pictures(base, head)
    holdouts = [one.read_json("metrics/build_training_set.json").get("holdout_date") for one in (base, head)]
    sentence = (
        f"Each on the holdout of its own revision: {base.name} on that of {holdouts[0]}, {head.name} on that of "
        f"{holdouts[1]}. The pictures are in report.html: {', '.join(pictures)}."
    )
    return Section("Plots", [*([sentence] if pictures else []), *missing], pictures)


def describe_drift(base: Revision, head: Revision) -> Section:
    """Describe the results of drift detection."""
    rows = compare_drift(*(one.read_json("metrics/detect_drift.json") for one in (base, head)))
    return Section("Drift", [Table(("newest drop against those before", base.name, head.name), rows, "Drift")])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="branch, tag, commit or DVC experiment to compare with")
    parser.add_argument("--head", help="what to compare, in the same form; default: the working tree")
    parser.add_argument("--output", type=Path, default=Path("reports/compare"), help="default: reports/compare")
    args = parser.parse_args()
    # Two retries with back-off, as in make pull: with the client's default of five, a dead server takes a minute.
    os.environ.setdefault("AWS_RETRY_MODE", "standard")
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "3")
    print(compare_revisions(args.base, args.head, args.output))
    print(f"{args.output}/report.html: the report with pictures; {args.output}/report.md: for a pull request")


if __name__ == "__main__":
    run_command(main)
