"""Take the screenshots for docs/guides/dashboard.md in a repository in which everything has run.

Run it as: PYTHONPATH=tests python tests/support/take_screenshots.py FOLDER
"""

import argparse
import io
from pathlib import Path

from browser import NARROW, WIDE, open_browser, open_page, rerun, run_dashboard
from conftest import ROOT
from PIL import Image
from playwright.sync_api import Page

PICTURES = ROOT / "docs" / "pictures"
PAGES = ("", "history", "explanation", "drift", "scores", "one-user")
# Longer pages are cut off.
MAX_HEIGHT = 1700


def take_screenshots(repository: Path) -> None:
    """Write dashboard-*.png: every page in a wide window, three on a phone, and the form without MLflow."""
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
    """Open a page; on the form page, submit the form."""
    open_page(page, address, name)
    if name == "one-user":
        rerun(page, page.get_by_role("button", name="Score this user").click)


def take(page: Page, width: int) -> Image.Image:
    """Return a screenshot of a whole page."""
    height = page.get_by_test_id("stMainBlockContainer").evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height, MAX_HEIGHT)})
    if width == WIDE["width"]:
        # A click may have scrolled the page. On a phone we keep that, to show the result.
        page.get_by_test_id("stMain").evaluate("element => element.scrollTo(0, 0)")
    # The charts are redrawn for the new size.
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.set_viewport_size({"width": width, "height": WIDE["height"]})
    return picture


def set_side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Return one picture with several next to each other, on grey."""
    gap = 24
    size = sum(picture.width + gap for picture in pictures) + gap, max(picture.height for picture in pictures) + 2 * gap
    whole, left = Image.new("RGB", size, "#c9d1d6"), gap
    for picture in pictures:
        whole.paste(picture, (left, gap))
        left += picture.width + gap
    return whole


def save(picture: Image.Image, name: str) -> None:
    """Write a picture with 256 colours, which needs a third of the bytes."""
    path = PICTURES / f"dashboard-{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path, help="folder in which everything has run")
    take_screenshots(parser.parse_args().repository.absolute())
