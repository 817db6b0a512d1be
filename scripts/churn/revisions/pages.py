"""A report in two formats: Markdown for a comment on a pull request, and one HTML file that opens offline."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from churn.base.markdown import escape, write_table
from churn.base.pages import escape_html, write_policy

TEMPLATE = Path(__file__).with_name("page.html")
# The limit of a comment on a pull request, with a margin.
LONGEST = 60_000
FOLDED_FROM = 8


@dataclass(frozen=True)
class Table:
    """Rows of text below a head; `summary` is its title when it is folded."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    summary: str


@dataclass(frozen=True)
class Section:
    """A title, paragraphs (which are escaped) and tables; for HTML also pictures by title."""

    title: str
    blocks: list[str | Table]
    pictures: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)


def write_markdown(title: str, sections: list[Section]) -> str:
    """Return the report as Markdown that fits in a comment: long tables are cut to their first rows."""
    for most in (60, 25, 10, 3):
        text = render(title, sections, most)
        if len(text) <= LONGEST:
            return text
    return text[:LONGEST]


def write_html(title: str, sections: list[Section]) -> str:
    """Return the report as an HTML page with all rows and with the pictures embedded."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    body = markdown.render(f"# {escape(title)}\n")
    for section in sections:
        body += markdown.render(render_section(section, None)) + "".join(
            render_pictures(name, pictures) for name, pictures in section.pictures.items()
        )
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(policy=write_policy(), title=escape_html(title), body=body)


def render(title: str, sections: list[Section], most: int) -> str:
    """Return the whole report with at most `most` rows in a table."""
    return f"# {escape(title)}\n\n" + "\n".join(render_section(section, most) for section in sections)


def render_section(section: Section, most: int | None) -> str:
    """Return a section in Markdown; one without a title is the conclusion: quoted, its first line bold."""
    if not section.title:
        first, *others = (escape(block) for block in section.blocks if isinstance(block, str))
        return "\n>\n".join(f"> {line}" for line in (f"**{first}**", *others)) + "\n"
    blocks = [render_table(block, most) if isinstance(block, Table) else escape(block) for block in section.blocks]
    return "\n\n".join([f"## {escape(section.title)}", *blocks]) + "\n"


def render_table(table: Table, most: int | None) -> str:
    """Return a table in Markdown; a long one is folded."""
    rows = table.rows[:most]
    text = write_table(map(escape, table.head), (map(escape, cells) for cells in rows))
    if left := len(table.rows) - len(rows):
        text += f"\n\n... and {left:,} more rows, in report.html."
    if len(table.rows) < FOLDED_FROM:
        return text
    return f"<details><summary>{escape_html(table.summary)}: {len(table.rows):,}</summary>\n\n{text}\n\n</details>"


def render_pictures(title: str, pictures: list[tuple[str, bytes]]) -> str:
    """Return pictures side by side, embedded in the page."""
    figures = "".join(
        f'<figure><figcaption>{escape_html(who)}</figcaption><img alt="{escape_html(f"{title}, {who}")}" '
        f'src="data:image/png;base64,{base64.b64encode(picture).decode()}"></figure>'
        for who, picture in pictures
    )
    return f'<h3>{escape_html(title)}</h3><div class="pair">{figures}</div>\n'
