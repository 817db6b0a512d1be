"""Simulate years of weekly promotions: how often luck promotes, how soon a better model is: `make bench-promotions`.

Every week a candidate is compared with Production on a holdout, by the real gates with the values of params.yaml. A
promoted candidate is the next Production. The scores are calibrated probabilities of churn; within churned and within
other users, the log-odds of any two models are normal with a known correlation.

Reads
    params.yaml
Writes
    two Markdown tables to standard output
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from churn.base.params import read_section  # noqa: E402
from churn.evaluation.delong import gain_interval  # noqa: E402
from churn.release.gates import confidence_on_holdout, decide  # noqa: E402

WEEKS_A_YEAR = 52
YEARS = 4
CHURN_RATE = 0.3
ROC_AUC = 0.76
BETTER = 0.02
SIZES = (1_000, 5_000, 20_000)


@dataclass(frozen=True)
class World:
    """What a simulation assumes.

    Parameters
    ----------
    users : int
        In each holdout.
    correlation : float
        Of the scores of any two models, within churned users and within others.
    staying : float
        Share of the users who are in the next holdout too, with the same label and the same scores of each model.
    candidates : int
        Compared on each holdout, one after the other, until one is promoted.
    """

    users: int
    correlation: float = 0.9
    staying: float = 0.0
    candidates: int = 1


class Holdouts:
    """The holdouts of successive weeks, and what models score on them."""

    def __init__(self, world: World, generator: np.random.Generator):
        """Draw the first week."""
        self.world, self.generator = world, generator
        self.segments = make_segments(world.users, generator)
        self.label = np.empty(world.users, np.int32)
        self.common = np.empty(world.users, np.float32)
        self.own: list[np.ndarray] = []
        self.draw(slice(None))

    def draw(self, who: Any) -> None:
        """Replace some users by others."""
        size = len(self.label[who])
        self.label[who] = self.generator.random(size, np.float32) < CHURN_RATE
        self.common[who] = self.generator.standard_normal(size, np.float32)
        for noise in self.own:
            noise[who] = self.generator.standard_normal(size, np.float32)

    def add_model(self) -> np.ndarray:
        """Return the noise of a new model, which is kept for users who stay."""
        self.own.append(self.generator.standard_normal(self.world.users, np.float32))
        return self.own[-1]

    def next_week(self, *models: np.ndarray) -> None:
        """Replace the users who leave; the other models are forgotten."""
        self.own = [noise for noise in self.own if any(noise is model for model in models)]
        who = self.generator.random(self.world.users, np.float32) >= self.world.staying if self.world.staying else ...
        self.draw(who)

    def log_odds(self, noise: np.ndarray, auc: float) -> np.ndarray:
        """Return the scores of a model with a known ROC AUC: the log-odds of churn given what the model sees."""
        shift = np.float32(np.sqrt(2) * NormalDist().inv_cdf(auc))
        shared = np.float32(self.world.correlation)
        seen = shift * self.label + np.sqrt(shared) * self.common + np.sqrt(1 - shared) * noise
        return shift * seen - shift * shift / 2 + np.float32(np.log(CHURN_RATE / (1 - CHURN_RATE)))


def make_segments(users: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the columns that find_segments reads, at random."""
    return {
        "card_type": generator.choice(["BLACK", "GOLD", "CLASSIC", "PLATINUM"], users),
        "days_since_first_payment": generator.integers(0, 90, users).astype(float),
        "age": generator.integers(18, 80, users).astype(float),
        "gender_is_female": generator.integers(0, 2, users).astype(float),
    }


def fast_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the ROC AUC of scores without ties."""
    ranks = np.flatnonzero(label[np.argsort(score)] == 1)
    churned = len(ranks)
    return float((ranks.sum() - churned * (churned - 1) / 2) / (churned * (len(label) - churned)))


def is_promoted(holdouts: Holdouts, scores: list[np.ndarray], params: dict[str, Any], judged: int) -> bool:
    """Return what decide decides; it is not called, to save time, if the gate min_delta or confidence clearly fails."""
    candidate, production = scores
    if fast_auc(holdouts.label, candidate) - fast_auc(holdouts.label, production) < params["min_delta"] - 1e-9:
        return False
    probabilities = [1 / (1 + np.exp(-score.astype(float))) for score in scores]
    if params["confidence"] is not None:
        _, low, _ = gain_interval(holdouts.label, *probabilities, confidence_on_holdout(params, judged))
        if low < -1e-9:
            return False
    rows = pa.table(holdouts.segments | {"label": holdouts.label})
    return bool(decide(rows, *probabilities, params, judged)["decision"] == "promote")


def simulate(world: World, params: dict[str, Any], gain: float, generator: np.random.Generator) -> list[int]:
    """Return the weeks, from 0, in which a candidate was promoted; a real gain ends the simulation.

    Equal models are new every week, which gives luck the most chances. A better candidate is the same every week, so
    that bad luck lasts as long as the users stay.
    """
    holdouts = Holdouts(world, generator)
    production, candidate, promoted = holdouts.add_model(), holdouts.add_model(), []
    for week in range(YEARS * WEEKS_A_YEAR):
        for judged in range(world.candidates):
            if gain == 0:
                candidate = holdouts.add_model()
            scores = [holdouts.log_odds(candidate, ROC_AUC + gain), holdouts.log_odds(production, ROC_AUC)]
            if is_promoted(holdouts, scores, params, judged):
                promoted.append(week)
                if gain > 0:
                    return promoted
                production = candidate
                break
        holdouts.next_week(production, candidate)
    return promoted


def measure_luck(world: World, params: dict[str, Any], repetitions: int) -> list[str]:
    """Return promotions of equal models per year, and the share of years with one, with its standard error."""
    generator = np.random.default_rng(1)
    found = [simulate(world, params, 0.0, generator) for _ in range(repetitions)]
    years = repetitions * YEARS
    hit = sum(len({week // WEEKS_A_YEAR for week in weeks}) for weeks in found) / years
    error = np.sqrt(hit * (1 - hit) / years)
    return [f"{sum(map(len, found)) / years:.2f}", f"{hit:.1%} ± {error:.1%}"]


def measure_delay(world: World, params: dict[str, Any], repetitions: int) -> list[str]:
    """Return how soon a better model is promoted: the median of weeks, and the shares within a year and in the end."""
    generator = np.random.default_rng(2)
    found = [simulate(world, params, BETTER, generator) for _ in range(repetitions)]
    weeks = [promoted[0] + 1 if promoted else np.inf for promoted in found]
    shares = [sum(week <= limit for week in weeks) / repetitions for limit in (4, WEEKS_A_YEAR, YEARS * WEEKS_A_YEAR)]
    return [f"{median(weeks):.0f}", *(f"{share:.0%}" for share in shares)]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200, help="simulations of four years each; default: 200")
    repetitions = parser.parse_args().repetitions
    new = read_section(ROOT / "params.yaml", "evaluate_candidate")
    old = new | {"confidence": None, "max_ece": 1.0, "max_segment_loss": 1.0}
    rules = {"`min_delta` alone": old, "all gates": new}

    print("| holdouts | users in each | rule | promotions a year | years with a promotion |\n|---|---|---|---|---|")
    for users in SIZES:
        for rule, params in rules.items():
            # Without `confidence` luck promotes so often that fewer years suffice.
            repeated = repetitions if params is new else max(1, repetitions // 5)
            show("independent", f"{users:,}", rule, *measure_luck(World(users), params, repeated))
    for users in SIZES:
        world = World(users, staying=0.9)
        show("nine users in ten stay", f"{users:,}", "all gates", *measure_luck(world, new, repetitions))
    world = World(SIZES[0], candidates=5)
    show("independent, five candidates on each", f"{SIZES[0]:,}", "all gates", *measure_luck(world, new, repetitions))

    print("\n| holdouts | users in each | correlation | rule | median weeks | within 4 weeks | a year | four years |")
    print("|---|---|---|---|---|---|---|---|")
    for users in SIZES:
        for name, world, rule in (
            ("independent", World(users), "`min_delta` alone"),
            ("independent", World(users), "all gates"),
            ("independent", World(users, correlation=0.7), "all gates"),
            ("nine users in ten stay", World(users, staying=0.9), "all gates"),
        ):
            cells = measure_delay(world, rules[rule], repetitions)
            show(name, f"{users:,}", str(world.correlation), rule, *cells)


def show(*cells: str) -> None:
    """Print a row as soon as it is measured."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
