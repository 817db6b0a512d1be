"""Pictures drawn without a screen: their colours, and how they are saved.

May import: nothing.
"""

from pathlib import Path
from typing import BinaryIO

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

mpl.use("Agg")

# What is looked at, what it is compared with, and what chance alone would give.
MAIN, OTHER, CHANCE = "#1f6feb", "#d9822b", "#8c8c8c"


def save_picture(figure: Figure, target: Path | BinaryIO) -> None:
    """Write a figure as PNG and close it: without matplotlib's version, so that the bytes tell of the picture alone."""
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
