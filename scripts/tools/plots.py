"""Draw the curves of several revisions in the same charts (`dvc plots diff`), on a page that opens offline.

Reads
    the plots of dvc.yaml, from git and DVC's cache
Writes
    index.html
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from churn.base.command import UserError, run_command

# DVC's default page loads them from the network.
LIBRARIES = ("vega", "vega-lite", "vega-embed")
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Curves of several revisions</title>
<style>body {{ font-family: system-ui, sans-serif }} body > div {{ display: inline-block; margin: 1rem }}</style>
{scripts}
<body>
{{plot_divs}}
</body>
</html>
"""


def plot_revisions(revisions: list[str], folder: Path) -> None:
    """Write the page.

    Parameters
    ----------
    revisions : list of str
        Branches, tags, commits or DVC experiments; a single one is compared with the working tree.
    folder : Path
        Where index.html goes.

    Raises
    ------
    UserError
        When DVC cannot read a revision or its plots.
    """
    with tempfile.TemporaryDirectory() as temporary:
        template = Path(temporary) / "page.html"
        template.write_text(PAGE.format(scripts=read_libraries()), encoding="utf-8")
        # After the dashes, a revision that begins with one is no option.
        command = ("plots", "diff", "--html-template", str(template), "--out", str(folder), "--", *revisions)
        done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "index.html").exists():
        raise UserError(
            f"DVC could not draw {', '.join(revisions)}: {done.stderr.strip()} If data is missing: make pull"
        )


def read_libraries() -> str:
    """Return the JavaScript libraries, from Snakemake's package, which has them for its own report."""
    from snakemake.assets import Assets

    contents = [Assets.get_content(f"{name}/{name}.js") for name in LIBRARIES]
    return "\n".join(f"<script>{content}</script>" for content in contents)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revisions", nargs="+", help="branches, tags, commits or DVC experiments")
    parser.add_argument("--output", type=Path, default=Path("reports/plots"), help="default: reports/plots")
    args = parser.parse_args()
    plot_revisions(args.revisions, args.output)
    print(f"{args.output}/index.html")


if __name__ == "__main__":
    run_command(main)
