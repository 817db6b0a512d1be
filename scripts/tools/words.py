"""Find words that nobody would use: the manner that the project's language rules replace (CONTRIBUTING.md).

Reads
    every text file that git tracks, and those that it does not ignore
Writes
    a line for each finding: file, line, the word, and what to write instead
"""

import argparse
import re
import subprocess
from pathlib import Path

from churn.base.command import UserError, run_command

KINDS = (".py", ".md", ".smk", ".rst", ".yaml", ".yml", ".toml", ".ipynb", "Snakefile", "Makefile", "Dockerfile")
# What is searched for, whatever its case, as whole words; and what to write instead.
WORDS = {
    r"mend(s|ed|ing)?": "fix, repair",
    r"front doors?": "way to run it",
    r"misshapen": "malformed",
    r"owed": "undelivered, due",
    r"tells? (whether|how|which|what|why|who|where|when|people|the user|you)": "say, report, return whether",
    # In quotes it is a field of files that older versions wrote.
    r"(?<![\"'])told(?![\"'])": "said, message, reported",
    r"(is|are) (?-i:none)": "there is no ..., is not a ...",
    r"is no (such )?(family|date|time|number|server|port|feature|parameter|sunday|file|folder|csv)": "is not a ...",
    r"as it came": "(leave it out)",
    r"ended in": "result of",
    r"(take|takes|taken|took|taking) in": "ingest, accept",
    r"(hold|holds|held) against": "compare with",
    r"stands? (there|in|at|on|beside|above|below|once|for)": "is, appears",
    r"no one asked for": "unknown, unused",
    r"one's own": "your own",
    r"for ever": "forever",
    r"whoever": "anyone who, a ... that",
    r"shall": "must, will",
    r"anew": "again",
    r"hinder(s|ed)?": "prevent, block",
}
FILES = ("CONTRIBUTING.md", "scripts/tools/words.py", "CHANGELOG.md")


def find_words(text: str) -> list[tuple[int, str, str]]:
    """Return the number of the line (from 1), the word found, and what to write instead, in the order of the text."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, better in WORDS.items():
            found += [(number, match[0], better) for match in re.finditer(rf"\b{pattern}\b", line, re.IGNORECASE)]
    return found


def list_files() -> list[Path]:
    """Return the text files of the repository in which the words are searched for."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    skipped = (*FILES, "README.es.md")
    return [Path(name) for name in names if name.endswith(KINDS) and name not in skipped and Path(name).is_file()]


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    findings = [
        f"{path}:{number}: {word!r}; write: {better}"
        for path in list_files()
        for number, word, better in find_words(path.read_text(encoding="utf-8"))
    ]
    if findings:
        raise UserError("\n".join([f"{len(findings)} words to replace (CONTRIBUTING.md, Language):", *findings]))
    print("No word to replace.")


if __name__ == "__main__":
    run_command(main)
