"""Put together what was recognised in each file: keys that all files share are proposed once, at the top."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from churn.base.files import write_whole
from churn.base.printable import printable
from churn.recognition.findings import Finding, Findings, Guess


@dataclass
class Proposal:
    """A proposal for data/mapping.yaml.

    Attributes
    ----------
    mapping : dict
        The content of data/mapping.yaml; empty if the default contract fits.
    guesses : list of Guess
        The evidence for each key; a guess without a key is a note about what needs none.
    open_questions : list of str
        What the data cannot decide.
    """

    mapping: dict[str, Any] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)
    open_questions: list[str] = field(default_factory=list)


ALWAYS_IN_FILE = ("name", "columns", "values")


def combine(files: dict[str, Findings], delivery: list[Finding], questions: list[str]) -> Proposal:
    """Return the proposal of a delivery.

    Parameters
    ----------
    files : dict of Findings
        By the name of the file in the contract.
    delivery : list of Finding
        Keys that are about all files, such as user_id.
    questions : list of str
        Questions that are about all files.
    """
    own = {name: _nest(found.found) for name, found in files.items()}
    shared: dict[str, Any] = {}
    for key in dict.fromkeys(key for keys in own.values() for key in keys):
        with_voice = [name for name, found in files.items() if key in own[name] or key not in found.silent]
        is_same = all(key in own[name] and own[name][key] == own[with_voice[0]][key] for name in with_voice)
        if is_same and len(with_voice) > 1 and key not in ALWAYS_IN_FILE:
            shared[key] = own[with_voice[0]][key]
    proposal = Proposal()
    _add_shared(proposal, shared, files)
    for finding in delivery:
        proposal.mapping[finding.key[0]] = finding.value
        proposal.guesses.append(_guess("", finding))
    per_file: dict[str, Any] = {}
    for name, found in files.items():
        if rest := {key: value for key, value in own[name].items() if key not in shared}:
            per_file[name] = rest
            prefix = f"files.{name}."
            proposal.guesses += [_guess(prefix, finding) for finding in found.found if finding.key[0] not in shared]
    if per_file:
        proposal.mapping["files"] = per_file
    for note in dict.fromkeys(note for found in files.values() for note in found.notes):
        names = [name for name, found in files.items() if note in found.notes]
        proposal.guesses.append(Guess("", None, f"{', '.join(names)}: {note}"))
    proposal.open_questions = questions + [question for found in files.values() for question in found.questions]
    return proposal


def write_proposal(proposal: Proposal, path: Path) -> None:
    """Write a proposal as YAML that can become data/mapping.yaml: above each key is a comment with its evidence."""
    lines = ["# A proposal for data/mapping.yaml, made from one delivery: check it before you use it."]
    if proposal.open_questions:
        lines += ["#", "# Open questions, which the data do not answer:"]
        lines += [_comment(f"- {question}", "") for question in proposal.open_questions]
    if notes := [guess.evidence for guess in proposal.guesses if not guess.key]:
        lines += ["#", "# Different, but read without a mapping:", *(_comment(f"- {note}", "") for note in notes)]
    lines.append("")
    guesses: dict[str, list[Guess]] = {}
    for guess in proposal.guesses:
        guesses.setdefault(guess.key, []).append(guess)
    lines += _lines_of(proposal.mapping, "", guesses, 0) if proposal.mapping else ["{}"]
    with write_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _nest(findings: list[Finding]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for finding in findings:
        place = nested
        for part in finding.key[:-1]:
            place = place.setdefault(part, {})
        place[finding.key[-1]] = finding.value
    return nested


def _guess(prefix: str, finding: Finding, more: str = "") -> Guess:
    key = prefix + ".".join(finding.key)
    return Guess(key, finding.value, finding.evidence + more, finding.certain, finding.alternative)


def _add_shared(proposal: Proposal, shared: dict[str, Any], files: dict[str, Findings]) -> None:
    """Add the keys that all files share, with the evidence of the most certain file."""
    for key, value in shared.items():
        proposal.mapping[key] = value
        by_path: dict[tuple[str, ...], list[tuple[str, Finding]]] = {}
        for name, found in files.items():
            for finding in found.found:
                if finding.key[0] == key:
                    by_path.setdefault(finding.key, []).append((name, finding))
        for findings in by_path.values():
            name, best = max(findings, key=lambda one: one[1].certain)
            doubtful = next((finding for _, finding in findings if not finding.certain), best)
            others = len(findings) - 1
            proposal.guesses.append(
                Guess(
                    ".".join(best.key),
                    best.value,
                    f"{name}: {best.evidence}; the same in {others} other file{'s' if others > 1 else ''}",
                    doubtful.certain,
                    doubtful.alternative,
                )
            )


def _lines_of(content: dict[str, Any], path: str, guesses: dict[str, list[Guess]], depth: int) -> list[str]:
    lines = []
    indent = "  " * depth
    for key, value in content.items():
        own = f"{path}.{key}" if path else key
        for guess in guesses.get(own, []):
            lines.append(_comment(f"{guess.evidence}.", indent))
            if not guess.certain:
                lines.append(
                    _comment(f"GUESS, CHECK THIS. The alternative: {guess.alternative or 'leave it out'}.", indent)
                )
        if isinstance(value, dict):
            lines += [f"{indent}{_inline(key)}:", *_lines_of(value, own, guesses, depth + 1)]
        else:
            lines.append(f"{indent}{_inline(key)}: {_inline(value)}")
    return lines


def _inline(value: Any) -> str:
    """Return a value as YAML on one line; characters that cannot be seen are escaped."""
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, str) and not value.isprintable():
        return '"' + "".join(map(_escape, value)) + '"'
    # In a list, YAML quotes whatever has a meaning in one.
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.strip().removeprefix("[").removesuffix("]")


def _escape(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else f"\\U{ord(character):08x}"


def _comment(text: str, indent: str) -> str:
    # A name of a file may have characters that YAML allows nowhere.
    return f"{indent}# {printable(' '.join(text.split()))}"
