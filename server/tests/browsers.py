"""A real browser for tests of pages, and a place where their pictures are kept for people."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = Path(os.environ.get("SCALELEDGER_ARTIFACTS", ROOT / "build/screenshots"))
WALL, DESK, PHONE = {"width": 1920, "height": 1080}, {"width": 1280, "height": 900}, {"width": 390, "height": 844}

needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")


@contextmanager
def chromium():
    """The system's browser, until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def kept(page, name, **options):
    """Keep a picture of the page."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", **options)


def fits(page):
    """Whether nothing sticks out to the right."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
