"""Draw pictures without a screen: the colours of plots, and how to save them.

May import: nothing.
"""

from pathlib import Path
from typing import BinaryIO

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

mpl.use("Agg")
# Names come from data: a dollar sign in them is a dollar sign, not a formula, which may be invalid.
mpl.rcParams["text.parse_math"] = False

# Colours of the main series, of what it is compared with, and of chance.
MAIN, OTHER, CHANCE = "#1f6feb", "#d9822b", "#8c8c8c"


def save_picture(figure: Figure, target: Path | BinaryIO) -> None:
    """Save a figure as PNG and close it; leave matplotlib's version out, so that equal pictures have equal bytes."""
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
