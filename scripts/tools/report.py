"""Write Snakemake's report of the last run, as a page that runs no script but Snakemake's own.

Reads
    the outputs of the last run, and what Snakemake knows of it
Writes
    pipeline_report.html
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.files import write_whole
from churn.base.pages import UNSAFE, ForeignScriptError, find_scripts, write_policy

# Snakemake's own template has one script for each kind of data, a line of JSON, in which nothing is escaped.
TEMPLATE = files("snakemake.report.html_reporter") / "template" / "index.html.jinja2"
DATA = re.compile(r'(<script id="[\w-]+">\n *var \w+ = )(.*)(;\n *</script>)')


def write_report(output: Path) -> None:
    """Write the report.

    Raises
    ------
    UserError
        When Snakemake cannot write it, or has written a page with other scripts than its own.
    """
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary) / "report.html"
        command = [sys.executable, "-m", "snakemake", "--report", str(page), "--quiet"]
        if subprocess.run(command, check=False).returncode or not page.exists():
            raise UserError("Snakemake could not write a report; it says why above. Run the pipeline first: make run")
        try:
            text = allow_scripts(page.read_text(encoding="utf-8"))
        except ForeignScriptError as error:
            raise UserError(f"Snakemake's report is not shown: {error} A name in the data may have made it.") from None
    with write_whole(output) as path:
        path.write_text(text, encoding="utf-8")


def allow_scripts(page: str) -> str:
    """Return Snakemake's page with its data escaped, and with a policy by which no other script runs.

    Its charts compile expressions, which needs `unsafe-eval`: a script that runs may then run texts as code, but no
    further script starts. Files are shown in frames, whose addresses are their content.
    """
    page = DATA.sub(lambda found: f"{found[1]}{found[2].translate(UNSAFE)}{found[3]}", page)
    number = TEMPLATE.read_text(encoding="utf-8").count("<script")
    policy = write_policy(find_scripts(page, number), sources="'unsafe-eval'", frames="data: blob:")
    return page.replace("<head>", f"<head>\n{policy}", 1)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("reports/pipeline_report.html"), help="the page to write")
    args = parser.parse_args()
    write_report(args.output)
    print(args.output)


if __name__ == "__main__":
    run_command(main)
