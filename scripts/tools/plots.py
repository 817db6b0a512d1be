"""Draw the curves of several revisions in the same charts (`dvc plots diff`), on a page that opens offline.

Reads
    the plots of dvc.yaml, from git and DVC's cache
Writes
    index.html
"""

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.files import write_whole
from churn.base.pages import ForeignScriptError, find_scripts, script_json, write_policy

# DVC's default page loads them from the network.
LIBRARIES = ("vega", "vega-lite", "vega-embed")
# How DVC draws a chart. Its data are one line of JSON, in which it escapes nothing.
CHART = re.compile(r"var spec = (\{.*\});\n\s*vegaEmbed\('#([\w-]+)', spec\);\n")
PICTURE = re.compile(r'<img src="(static/[\w-]+\.png)">')
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Curves of several revisions</title>
<style>body {{ font-family: system-ui, sans-serif }} body > div {{ display: inline-block; margin: 1rem }}</style>
{scripts}
</head>
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
        template, drawn = Path(temporary) / "page.html", Path(temporary) / "drawn"
        template.write_text(PAGE.format(scripts=read_libraries()), encoding="utf-8")
        # After the dashes, a revision that begins with one is no option.
        command = ("plots", "diff", "--html-template", str(template), "--out", str(drawn), "--", *revisions)
        done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True, check=False)
        if done.returncode or not (drawn / "index.html").exists():
            raise UserError(
                f"DVC could not draw {', '.join(revisions)}: {done.stderr.strip()} If data is missing: make pull"
            )
        page = embed_pictures((drawn / "index.html").read_text(encoding="utf-8"), drawn)
    try:
        page = allow_scripts(page)
    except ForeignScriptError as error:
        raise UserError(
            f"DVC's page of {', '.join(revisions)} is not shown: {error} Look for odd names of files in the plots of "
            "dvc.yaml in these revisions."
        ) from None
    with write_whole(folder / "index.html") as path:
        path.write_text(page, encoding="utf-8")


def embed_pictures(page: str, folder: Path) -> str:
    """Return a page in which the pictures that DVC wrote beside it are data of the page itself."""

    def embed(found: re.Match[str]) -> str:
        content = (folder / found[1]).read_bytes()
        return f'<img src="data:image/png;base64,{base64.b64encode(content).decode()}">'

    return PICTURE.sub(embed, page)


def allow_scripts(page: str) -> str:
    """Return DVC's page with its data escaped, and with a policy by which no other script runs.

    Vega interprets its expressions, because the policy forbids to compile them (`unsafe-eval`).
    """

    def draw(found: re.Match[str]) -> str:
        return f"vegaEmbed('#{found[2]}', {script_json(json.loads(found[1]))}, {{ast: true}});\n"

    page, charts = CHART.subn(draw, page)
    policy = write_policy(find_scripts(page, len(LIBRARIES) + charts))
    return page.replace("<head>", f"<head>\n{policy}", 1)


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
