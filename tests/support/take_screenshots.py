"""Take the pictures of docs/dashboard.md from a repository in which everything has run.

Run it as: python tests/take_screenshots.py FOLDER
"""

import argparse
import io
from pathlib import Path

from browser import NARROW, WIDE, open_browser, open_page, rerun, run_dashboard
from conftest import ROOT
from PIL import Image
from playwright.sync_api import Page

DOCS = ROOT / "docs"
PAGES = ("", "history", "explanation", "drift", "scores", "one-user")
# Of longer pages the top is shown.
LONGEST = 1700


def take_screenshots(repository: Path) -> None:
    """Write docs/dashboard-*.png: every page in a wide window, some on a phone, and the form while MLflow is down."""
    log = repository / "dashboard.log"
    with open_browser() as browser:
        page = browser.new_page(viewport=WIDE, color_scheme="light")
        with run_dashboard(repository, log) as address:
            for name in PAGES:
                show(page, address, name)
                save(take(page, WIDE["width"]), name or "overview")
            page.set_viewport_size(NARROW)
            phones = []
            for name in ("", "scores", "one-user"):
                show(page, address, name)
                phones.append(take(page, NARROW["width"]))
            save(set_side_by_side(phones), "phone")
        page.set_viewport_size(WIDE)
        with run_dashboard(repository, log, MLFLOW_TRACKING_URI="http://127.0.0.1:5055") as address:
            show(page, address, "one-user")
            save(take(page, WIDE["width"]), "heuristic")


def show(page: Page, address: str, name: str) -> None:
    """Draw a page; of the form the answer too."""
    open_page(page, address, name)
    if name == "one-user":
        rerun(page, page.get_by_role("button", name="Score this user").click)


def take(page: Page, width: int) -> Image.Image:
    """Return the picture of a page, as long as the page is."""
    height = page.get_by_test_id("stMainBlockContainer").evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height, LONGEST)})
    if width == WIDE["width"]:
        # A click may have moved it; on a phone that shows what was clicked for.
        page.get_by_test_id("stMain").evaluate("element => element.scrollTo(0, 0)")
    # The charts are drawn anew for the window.
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.set_viewport_size({"width": width, "height": WIDE["height"]})
    return picture


def set_side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Return one picture of several, on grey."""
    gap = 24
    size = sum(picture.width + gap for picture in pictures) + gap, max(picture.height for picture in pictures) + 2 * gap
    whole, left = Image.new("RGB", size, "#c9d1d6"), gap
    for picture in pictures:
        whole.paste(picture, (left, gap))
        left += picture.width + gap
    return whole


def save(picture: Image.Image, name: str) -> None:
    """Write a picture with 256 colours, a third of the bytes."""
    path = DOCS / f"dashboard-{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path, help="folder in which everything has run")
    take_screenshots(parser.parse_args().repository.absolute())
