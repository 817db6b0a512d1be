"""Texts from outside are shown unchanged: in Markdown, in a script's data, at a terminal."""

import json
import re

import pytest
from markdown_it import MarkdownIt

from churn.base.markdown import escape
from churn.base.pages import ForeignScriptError, find_scripts, script_json, write_policy
from churn.base.printable import printable

TEXTS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](http://evil.example/x.png)",
    "`code` *bold* _under_ ~~gone~~ | cell | $x$ & &amp;",
    "# heading",
    "- list",
    "1. list",
    "http://evil.example and www.evil.example",
]


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_the_text(text):
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(escape(text))
    shown = re.sub(r"</?p>|\n", "", rendered)
    assert "<" not in shown
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, character)
    assert shown == text


def test_nobody_is_mentioned_and_no_address_is_a_link_on_github():
    assert re.search(r"@\w", escape("cc @octocat")) is None
    assert escape("http://evil.example") == "http\\://evil.example" and "www." not in escape("www.evil.example")


@pytest.mark.parametrize("text", [*TEXTS, "<!-- <script>", "\u2028", "]]>"])
def test_no_text_ends_a_script(text):
    written = script_json({text: [text]})
    assert not set(written) & set("<>&\u2028") and json.loads(written) == {text: [text]}


def test_a_page_with_one_more_script_is_refused():
    page = "<script>one</script><SCRIPT\n>two</script >"
    assert find_scripts(page, 2) == ["one", "two"]
    with pytest.raises(ForeignScriptError):
        find_scripts(page, 1)
    assert "script-src 'none'" in write_policy() and write_policy(["one", "one"]).count("sha256-") == 1


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[31m\nb\u202e") == "a\\x1b[31m\\nb\\u202e"
