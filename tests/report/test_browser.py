"""The page in a browser: opened from its file, operated with mouse and keys, and watched for what it asks for."""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geodesic_cli.runs.pages import write_page
from runs_made import HOSTILE, interpolation

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = shlex.split(os.environ.get("CHROMIUM_FLAGS", "--no-sandbox --disable-gpu"))
playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the package playwright: pip install '.[browser]'", exc_type=ImportError
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="needs Chromium, on the path or named by the variable CHROMIUM; CHROMIUM_FLAGS has its flags",
)


class Watched:
    """A page that is open, and everything that it asked for or complained about."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append("a dialog"))
        page.goto(file.as_uri())

    @property
    def at(self) -> int:
        return int(self.page.input_value("#slider"))

    @property
    def shown(self) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all("img.frame", "all => all.map((image) => image.src)")
        return found

    @property
    def caption(self) -> str:
        found: str = self.page.inner_text("#caption")
        return found

    def frame(self, reel: int, number: int) -> str:
        found: str = self.page.evaluate(
            "([r, k]) => JSON.parse(document.getElementById('data').textContent).frames[r][k]", [reel, number]
        )
        return found

    def clean(self) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("data:")] == [self.requests[0]]


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def test_the_slider_moves_the_film_plays_and_nothing_is_fetched(browser: Any, tmp_path: Path) -> None:
    view = Watched(browser.new_page(), write_page(interpolation(tmp_path)))
    page = view.page
    assert view.at == 0 and view.shown == [view.frame(0, 0), view.frame(1, 0)]
    page.evaluate("document.getElementById('slider').value = 6")
    page.dispatch_event("#slider", "input")
    assert view.shown == [view.frame(0, 6), view.frame(1, 6)] and view.caption.startswith("frame 6")
    dot = page.eval_on_selector_all(".plot:first-of-type .dot.on", "all => all.map((dot) => dot.getAttribute('d'))")
    assert len(dot) == 2 and all(each.startswith("M750 ") for each in dot)  # both at u = 6 / 8
    assert page.inner_text(".plot:first-of-type .value >> nth=0") == "−2.25"
    page.focus("body")
    page.keyboard.press("ArrowLeft")
    assert view.at == 5
    page.focus("#slider")
    page.keyboard.press("ArrowLeft")
    assert view.at == 4 and "doubtful" in view.caption
    assert page.get_attribute("#slider", "aria-valuetext") == view.caption
    page.keyboard.press("End")
    assert view.at == 8
    page.keyboard.press("Home")
    page.select_option("#speed", "30")
    page.keyboard.press("Tab")  # away from the list of speeds
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "true" and page.inner_text("#word") == "Pause"
    seen = {view.at}
    for _ in range(40):
        page.wait_for_timeout(20)
        seen.add(view.at)
    assert len(seen) > 3
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    now = view.at
    page.wait_for_timeout(200)
    assert view.at == now
    page.click("#copy")
    page.wait_for_function("document.getElementById('copy').textContent !== 'Copy'")
    view.clean()


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_screen(browser: Any, tmp_path: Path, width: int) -> None:
    long = "a-name-without-a-space-" * 8
    folder = interpolation(tmp_path, status=f"{long} {HOSTILE}", command=f"geodesic interpolate {long}")
    view = Watched(browser.new_page(viewport={"width": width, "height": 800}), write_page(folder))
    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    view.page.emulate_media(color_scheme="dark")
    ground = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, ground[4:-1].split(","))) < 200
    view.clean()


def test_every_image_is_shown_and_every_control_has_a_name(browser: Any, tmp_path: Path) -> None:
    view = Watched(browser.new_page(), write_page(interpolation(tmp_path)))
    broken = view.page.evaluate("[...document.images].filter((image) => !image.naturalWidth || !image.alt).length")
    assert broken == 0
    for role, name in (("slider", "Position"), ("button", "Play"), ("combobox", "Speed"), ("button", "Copy")):
        assert view.page.get_by_role(role, name=name).count() == 1, name
    assert view.page.get_by_role("img", name="Density").count() == 1
    view.clean()
