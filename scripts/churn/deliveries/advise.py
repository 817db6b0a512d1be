"""Look at a delivery without changing anything: how it is read, and a mapping for one that does not fit."""

import shlex
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import date
from io import StringIO
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.files import scratch_folder, write_whole
from churn.data.mapping import MAPPING, Mapping, read_mapping
from churn.deliveries.before import find_before
from churn.deliveries.check import read_delivery
from churn.deliveries.doubts import find_cuts
from churn.deliveries.folders import free_path
from churn.deliveries.ingest import COPIES, TABLES, judge, weigh
from churn.deliveries.preview import preview
from churn.deliveries.receive import receive_delivery
from churn.deliveries.rules import Rules
from churn.recognition.delivery import recognise
from churn.recognition.proposal import write_proposal

PROPOSED = Path("mapping.proposed.yaml")


def check_delivery(source: Path, raw: Path, listing: Path, today: date, rules: Rules, proposed: Path) -> None:
    """Print how a delivery would be read; write a proposal for data/mapping.yaml if it does not fit.

    Parameters
    ----------
    source : Path
        Folder with the delivered files, or links to them.
    raw, listing : Path
        data/raw and data/drops.yaml.
    today : date
        The current date; no payment can be later than tomorrow.
    rules : Rules
        How deliveries are read and judged now.
    proposed : Path
        The proposal to write.

    Raises
    ------
    UserError
        When the delivery would be refused as things are: it says why, and what to do.
    """
    proposal = recognise(source, today)
    now = _look(source, raw, listing, today, rules)
    is_mapped = rules.mapping != Mapping()
    if not proposal.mapping or (is_mapped and now.is_read):
        _end(source, now, "".join(f"\nOpen question: {question}" for question in proposal.open_questions))
        return
    write_proposal(proposal, proposed)
    print(f"\n{proposed} says how this delivery seems to be written:\n\n{proposed.read_text()}")
    accept = f"make check SOURCE={shlex.quote(str(source))} ACCEPT=1"
    if now.is_read:
        _end(source, now, "")
        print(f"With the proposal more of it would be read. Look at the proposal, then: {accept}")
        return
    print(f"Without it: {now.problem.splitlines()[0]}\n\nWith it:\n")
    then = _look(source, raw, listing, today, replace(rules, mapping=read_mapping(proposed)))
    if not then.is_read:
        raise UserError(
            f"{source} does not fit the contract, and {proposed} is not enough: {then.problem}\nCorrect {proposed} by "
            f"hand (all keys: docs/guides/dialects.md), then: {accept}"
        )
    print(then.text)
    but = f" But it is doubtful then: {then.problem}" if then.problem else ""
    replaced = f" It replaces the mapping in {MAPPING}, and all drops are read by it." if is_mapped else ""
    raise UserError(
        f"{source} does not fit the contract, but can be read with {proposed}. Look at what it would read (above), "
        f"correct what is wrong, then: {accept}.{replaced}{but}"
    )


@dataclass(frozen=True)
class Look:
    """What was found: whether a delivery can be read, how, and why it would be refused ("" if it would not)."""

    is_read: bool
    text: str
    problem: str


def _end(source: Path, look: Look, questions: str) -> None:
    """Print what was read, and whether the delivery can be ingested; raise `UserError` if not."""
    print(look.text)
    if look.problem:
        raise UserError(f"{look.problem}{questions}")
    print(f"{questions}\nThis delivery can be ingested: make ingest SOURCE={shlex.quote(str(source))}")


def _look(source: Path, raw: Path, listing: Path, today: date, rules: Rules) -> Look:
    """Read a delivery, and judge it."""
    text = ""
    try:
        with scratch_folder(raw / COPIES) as scratch, scratch_folder(raw / TABLES) as tables:
            received = receive_delivery(source, scratch / "delivery", rules.mapping.names, follow_links=True)
            with received.named_as_delivered():
                judge(find_cuts(received.folder, rules.mapping), received.folder, rules)
                # The preview says the same, and more.
                with redirect_stdout(StringIO()):
                    delivery = read_delivery(received.folder, None, today, rules, tables)
                # The demo's drops are removed before a delivery is ingested.
                is_demo = read_list(listing)[0] == "demo"
                before = None if is_demo else find_before(raw, listing, delivery.drop)
                text = preview(delivery, tables, before, listing.parent / "clean")
                weigh(delivery, received.folder, before, rules)
    except UserError as error:
        return Look(bool(text), text, str(error))
    return Look(True, text, "")


def accept_proposal(proposed: Path, mapping: Path) -> None:
    """Move the proposal to data/mapping.yaml; a mapping that was there is kept beside it.

    Raises
    ------
    UserError
        When there is no proposal, or it is not a valid mapping.
    """
    if not proposed.exists():
        raise UserError(f"{proposed} does not exist. First look at the delivery: make check SOURCE=<folder>")
    if read_mapping(proposed) == Mapping():
        raise UserError(f"{proposed} says nothing. Delete it: the default contract needs no mapping.")
    if read_mapping(mapping) not in (Mapping(), read_mapping(proposed)):
        kept = free_path(mapping.with_name("mapping.replaced.yaml"))
        kept.write_bytes(mapping.read_bytes())
        print(f"The mapping that was there is now in {kept}.")
    with write_whole(mapping, durable=True) as new:
        new.write_bytes(proposed.read_bytes())
    proposed.unlink()
    print(f"{mapping} is in use: git add {mapping} && git commit. All drops are read by it in the next run.")
