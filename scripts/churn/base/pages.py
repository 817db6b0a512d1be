"""Write HTML pages whose scripts are all ours: escaped data, and a policy that names each script by its hash.

Escape a text where it enters a page: `escape_html` in HTML, `script_json` inside a script, `churn.base.markdown.escape`
in Markdown, `churn.base.printable.printable` at a terminal. If one of them is forgotten, the page's content security
policy (CSP) still runs no script that it does not name, and loads nothing from a network.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from typing import Any

SCRIPT = re.compile(r"<script\b[^>]*>(.*?)</script\s*>", re.IGNORECASE | re.DOTALL)
# Characters that end a script or begin a comment in one, and line ends of JavaScript that JSON allows in a text.
UNSAFE = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
# Pictures, fonts and frames are in the page itself; styles of charts are made by their scripts.
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "frame-src {frames}; base-uri 'none'; form-action 'none'"
)


class ForeignScriptError(Exception):
    """A page has another number of scripts than the program that made it writes."""


def escape_html(text: object) -> str:
    """Return a text as HTML that shows it unchanged, also in quoted attributes."""
    return html.escape(str(text))


def script_json(content: Any) -> str:
    """Return a value as JSON that can be inside a <script>: no text in it can end the script."""
    return json.dumps(content).translate(UNSAFE)


def write_policy(scripts: Iterable[str] = (), sources: str = "", frames: str = "'none'") -> str:
    """Return the <meta> element of a content security policy; it must be the first element of the head.

    Parameters
    ----------
    scripts : iterable of str
        The texts of the inline scripts that may run.
    sources : str
        What else scripts may do, such as 'unsafe-eval'.
    frames : str
        From where frames may be loaded.
    """
    hashes = dict.fromkeys(f"'sha256-{_digest(text)}'" for text in scripts)
    policy = POLICY.format(scripts=" ".join(filter(None, [*hashes, sources])) or "'none'", frames=frames)
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'


def find_scripts(page: str, number: int) -> list[str]:
    """Return the texts of a page's inline scripts.

    Parameters
    ----------
    page : str
        HTML in which all data are escaped.
    number : int
        How many scripts the program that made the page writes.

    Raises
    ------
    ForeignScriptError
        When the page has more or fewer: one of them may come from the data.
    """
    scripts = SCRIPT.findall(page)
    if len(scripts) != number:
        raise ForeignScriptError(f"The page has {len(scripts)} scripts instead of {number}.")
    return scripts


def _digest(script: str) -> str:
    # A browser hashes what it has parsed, in which every line end is a line feed.
    text = script.replace("\r\n", "\n").replace("\r", "\n")
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
