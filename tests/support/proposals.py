"""Propose a mapping, and check that it can be used as it is written."""

from datetime import date
from pathlib import Path

import yaml

from churn.data.mapping import read_mapping
from churn.recognition.delivery import recognise
from churn.recognition.findings import Guess
from churn.recognition.proposal import Proposal, write_proposal

TODAY = date(2026, 4, 1)
PROPOSED = "mapping.proposed.yaml"


def propose(folder: Path) -> Proposal:
    """Return the proposal for a delivery, after writing it beside the folder and reading it."""
    proposal = recognise(folder, TODAY)
    written = folder.parent / PROPOSED
    write_proposal(proposal, written)
    read_mapping(written)
    assert yaml.safe_load(written.read_text()) == proposal.mapping
    return proposal


def guess_of(proposal: Proposal, key: str) -> Guess:
    """Return the only guess for a key."""
    (guess,) = [guess for guess in proposal.guesses if guess.key == key]
    return guess
