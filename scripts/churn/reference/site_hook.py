"""Build a site with MkDocs from pages written for a Git host (MkDocs calls this hook, see mkdocs.yml).

Reads
    docs/, README.md, and every file outside docs/ that they link to
Writes
    nothing: MkDocs gets README.md as the first page, other Markdown files under their own paths, and each other file as
    a page that shows it; links are changed accordingly
"""

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s#]+)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HOME = "README.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and the files that they link to."""
    root = Path(config.config_file_path).parent
    known = {f"docs/{file.src_uri}" for file in files}
    todo = [HOME, *(path for path in known if path.endswith(".md"))]
    while todo:
        path = todo.pop()
        if path not in known:
            known.add(path)
            text = (root / path).read_text()
            content = text if path.endswith(".md") else show_source(path, text)
            level = InclusionLevel.INCLUDED if path.endswith(".md") else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, site_path(path), content=content, inclusion=level))
        if path.endswith(".md"):
            links = find_links(path, (root / path).read_text())
            todo += [link for link in links if link not in known and (root / link).is_file()]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change a page's links to the paths of their files in the site."""
    path = repository_path(page.file.src_uri, Path(config.config_file_path).parent)
    if path is None:
        return markdown
    start = PurePosixPath(page.file.src_uri).parent

    def point(match: re.Match[str]) -> str:
        return os.path.relpath(site_path(resolve(path, match[1])), start)

    return replace_links(markdown, point)


def find_links(path: str, markdown: str) -> list[str]:
    """Return the paths in the repository that a page links to."""
    found: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found.append(resolve(path, match[1]))
        return match[0]

    replace_links(markdown, keep)
    return found


def replace_links(markdown: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Replace the target of every relative link outside of code."""
    pieces, at = [], 0
    for code in CODE.finditer(markdown):
        # A link's text may be code: the code is kept unchanged, but the link around it is replaced.
        pieces += [markdown[at : code.start()], code[0]]
        at = code.end()
    pieces.append(markdown[at:])
    return "".join(piece if index % 2 else LINK.sub(replace, piece) for index, piece in enumerate(pieces))


def resolve(path: str, link: str) -> str:
    """Return the path in the repository that a link in a file leads to."""
    return os.path.normpath(PurePosixPath(path).parent / link)


def site_path(path: str) -> str:
    """Return the path in the site of a file of the repository."""
    if path == HOME:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith(".md") else f"source/{path}.md"


def repository_path(site: str, root: Path) -> str | None:
    """Return the Markdown file of a page of the site, None for a page that shows another file."""
    if site.startswith("source/"):
        return None
    if site == "index.md":
        return HOME
    return f"docs/{site}" if (root / "docs" / site).exists() else site


def show_source(path: str, text: str) -> str:
    """Return a page that shows a file."""
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(PurePosixPath(path).suffix, "text")
    fence = "`" * 10
    # The search covers only the documents.
    return f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n{fence}{language}\n{text}\n{fence}\n"
