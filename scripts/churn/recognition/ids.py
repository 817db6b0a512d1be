"""Recognise whether user ids are whole numbers or texts."""

import re
from collections import Counter
from dataclasses import dataclass, field

from churn.data.contract import USER
from churn.recognition.findings import Finding, Findings, counted, shape, shown
from churn.recognition.marks import bare
from churn.recognition.rows import Table

MAX_BIGINT = 2**63 - 1
SCIENTIFIC = re.compile(r"\d([.,]\d+)?E[+]?\d+", re.IGNORECASE)
GROUPED = re.compile(r"[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*")
# Below this share, ids that are written another way than the rest are bad values.
SOME = 0.01
# Fewer pairs like 7 and 007 are typing errors.
MIN_PAIRS = 3


@dataclass
class Ids:
    """The ids of one file.

    Attributes
    ----------
    kinds : Counter
        How many values are whole, text, scientific, grouped (like 100.133), or long (not a BIGINT).
    groups : Counter
        The characters between thousands of the grouped values.
    examples : dict of str
        The first value of each kind.
    lengths : set of int
        The numbers of digits of whole ids.
    zeros : int
        The number of whole ids that begin with 0.
    pairs : list of tuple
        Ids that differ only in zeros in front, such as ("7", "007").
    """

    kinds: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    zeros: int = 0
    pairs: list[tuple[str, str]] = field(default_factory=list)


def read_ids(table: Table, strip: tuple[str, ...], is_null: frozenset[str]) -> Ids:
    """Return what the ids of a file look like."""
    ids = Ids()
    whole: set[str] = set()
    for raw, times in table.values.get(USER, Counter()).items():
        # As in the reader: a word at the end of an id belongs to it.
        text = bare(raw, tuple(one for one in strip if not any(map(str.isalpha, one))))
        if not text or text.casefold() in is_null:
            continue
        kind = _kind(text)
        ids.kinds[kind] += times
        ids.examples.setdefault(kind, shape(text))
        if kind == "grouped":
            ids.groups["." if "." in text else ","] += times
        if kind in ("whole", "long"):
            digits = text.partition(".")[0]
            whole.add(digits)
            ids.lengths.add(len(digits))
            ids.zeros += len(digits) > 1 and digits.startswith("0")
    first: dict[str, str] = {}
    for digits in sorted(whole, key=len):
        short = digits.lstrip("0") or "0"
        if short in first:
            ids.pairs.append((first[short], digits))
        else:
            first[short] = digits
    return ids


def add_thousands(
    files: dict[str, Ids], written: dict[str, tuple[str, str]], found: dict[str, Findings]
) -> dict[str, bool]:
    """Return for each file whether ids like 100.133 can be read as numbers; if all can, add the keys for that.

    Parameters
    ----------
    files : dict of Ids
        From `read_ids`, by the name of the file.
    written : dict of tuple
        The characters before decimals and between thousands of the file's numbers, from `numbers.find_numbers`.
    found : dict of Findings
        What was recognised in each file.
    """
    characters = {file: max(ids.groups, key=lambda one: ids.groups[one], default="") for file, ids in files.items()}
    is_free = {file: "decimal" in found[file].silent for file in files}
    can_read = {}
    for file, character in characters.items():
        decimal, thousands = written[file]
        can_read[file] = (
            not character or thousands == character or (not thousands and (is_free[file] or decimal != character))
        )
    if all(can_read.values()):
        for file, character in characters.items():
            if files[file].kinds["grouped"] < SOME * files[file].kinds.total() or written[file][1] == character:
                continue
            evidence = f"{counted(files[file].kinds['grouped'], 'id')} like {shown(files[file].examples['grouped'])}"
            found[file].add("thousands", character, evidence)
            if character == "." and written[file][0] == ".":
                found[file].add("decimal", ",", f"{evidence}, in which the point is not before decimals")
    return can_read


def find_user_ids(files: dict[str, Ids], can_read: dict[str, bool], questions: list[str]) -> Finding | None:
    """Return the key user_id if ids are texts; add what cannot be decided to the questions.

    Parameters
    ----------
    files : dict of Ids
        From `read_ids`, by the name of the file.
    can_read : dict of bool
        From `add_thousands`.
    """
    kinds = sum((ids.kinds for ids in files.values()), Counter())
    total = max(kinds.total(), 1)
    examples = {kind: text for ids in files.values() for kind, text in ids.examples.items()}
    if kinds["scientific"] >= SOME * total:
        questions.append(
            f"{USER}: {counted(kinds['scientific'], 'id')} like {shown(examples['scientific'])}: a spreadsheet has "
            "rounded them, and no mapping can restore them. Deliver the files again, exported without a spreadsheet."
        )
        return None
    if kinds["text"] >= SOME * total:
        return _texts(kinds["text"], total, examples["text"], questions)
    if kinds["long"] >= SOME * total:
        evidence = f"{counted(kinds['long'], 'id')} like {shown(examples['long'])} with too many digits for a number"
        return Finding(("user_id",), "text", evidence)
    if kinds["grouped"] >= SOME * total:
        return _grouped(files, can_read, examples["grouped"], questions)
    return _zeros(files)


def _kind(text: str) -> str:
    if re.fullmatch(r"[0-9]+(\.0+)?", text):
        # A million with points is no whole number with decimals, but 5.0 is one.
        if GROUPED.fullmatch(text):
            return "grouped"
        digits = text.partition(".")[0].lstrip("0") or "0"
        return "whole" if len(digits) < 20 and int(digits) <= MAX_BIGINT else "long"
    if SCIENTIFIC.fullmatch(text):
        return "scientific"
    return "grouped" if GROUPED.fullmatch(text) else "text"


def _texts(number: int, total: int, example: str, questions: list[str]) -> Finding | None:
    evidence = f"{number:,} of {counted(total, 'id')} are not whole numbers, such as {shown(example)}"
    if 2 * number >= total:
        return Finding(("user_id",), "text", evidence)
    questions.append(
        f"{USER}: {evidence}. Are they users? Without a mapping these rows are rejected; user_id: text accepts them."
    )
    return None


def _grouped(files: dict[str, Ids], can_read: dict[str, bool], example: str, questions: list[str]) -> Finding | None:
    grouped = {file: ids.kinds["grouped"] for file, ids in files.items()}
    wrong = [file for file, times in grouped.items() if times and not can_read[file]]
    if not wrong:
        return None
    evidence = f"{counted(sum(grouped.values()), 'id')} like {shown(example)} with a character between thousands"
    start = f"{USER}: {evidence}. Other numbers of {', '.join(wrong)} have it before decimals, so "
    # Short ids have no such character, so other kinds are fine if no long id lacks it.
    if all(times and not any(length > 3 for length in files[file].lengths) for file, times in grouped.items()):
        questions.append(
            f"{start}the proposal reads ids as texts: they match across the files, but scores will have {example}. "
            "Better deliver them without it."
        )
        other = f"deliver ids as {re.sub('[.,]', '', example)}, and remove this line"
        return Finding(("user_id",), "text", evidence, certain=False, alternative=other)
    questions.append(f"{start}no mapping can read them, and other ids are without it. Deliver the ids as plain digits.")
    return None


def _zeros(files: dict[str, Ids]) -> Finding | None:
    pairs = [pair for file, ids in files.items() if file != "PAYMENTS.csv" for pair in ids.pairs]
    if len(pairs) >= MIN_PAIRS:
        short, long = pairs[0]
        such = f"such as {shape(short)} and {shape(long)}"
        evidence = f"{counted(len(pairs), 'pair')} of ids in one file, {such}, differ only in zeros"
        return Finding(("user_id",), "text", evidence)
    used = [ids for ids in files.values() if ids.lengths]
    lengths = set().union(*(ids.lengths for ids in used)) if used else set()
    zeros = sum(ids.zeros for ids in used)
    if zeros >= MIN_PAIRS and len(lengths) == 1:
        evidence = f"All ids have {lengths.pop()} digits, and {zeros:,} of them begin with 0"
        return Finding(("user_id",), "text", evidence, certain=False, alternative="whole: 007 is then written as 7")
    return None
