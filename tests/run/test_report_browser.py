"""A report in a real browser: what it shows, by keyboard, at two widths, in light and dark.

It needs Playwright (`pip install 'specbuild[test]'`) and Chromium (`apt-get install chromium`, or CHROMIUM names it).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.report_page import EVIL

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium; install it with: apt-get install chromium")

FAULTS = """() => {
  const named = (element) => element.labels?.length || element.getAttribute("aria-label")
    || document.getElementById(element.getAttribute("aria-labelledby") || "")?.textContent;
  const faults = [];
  const start = (element) => element.outerHTML.slice(0, 80);
  for (const image of document.images)
    if (!image.alt.trim() && image.offsetParent) faults.push(`no alt: ${start(image)}`);
  for (const control of document.querySelectorAll("input, select, [role=img], [role=region], nav"))
    if (!named(control)) faults.push(`no name: ${start(control)}`);
  for (const link of document.querySelectorAll("a[href^='#']"))
    if (!document.querySelector(link.getAttribute("href"))) faults.push(`leads nowhere: ${link.textContent}`);
  return faults;
}"""
"""Pictures without a description, controls and regions without a name, links to nothing."""

PALE = """() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const rgb = numbers(getComputedStyle(each).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    const style = getComputedStyle(element);
    if (!text || !element.getClientRects().length || style.visibility === "hidden") continue;
    const drawn = element instanceof SVGElement;
    const [above, below] = [light(numbers(drawn ? style.fill : style.color)), light(behind(element))];
    const contrast = (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
    count += 1;
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${text.slice(0, 40)} (${element.tagName})`);
  }
  return [count, found];
}"""
"""How many texts are shown, and those whose contrast with what is behind them is less than 4.5 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright; pip install 'specbuild[test]'")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page in a window of a width, and what it complained of or asked for."""

    def __init__(self, browser: Any, file: Path, width: int, scheme: str = "light", *, script: bool = True) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.absolute().as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def wide(self) -> bool:
        """Whether the page must be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def check(self) -> None:
        """Nothing asked for outside the file, nothing complained of, nothing too wide, unnamed or too pale."""
        outside = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert (outside, self.complaints) == ([], [])
        assert not self.wide()
        assert self.page.evaluate(FAULTS) == []
        count, pale = self.page.evaluate(PALE)
        assert pale == []
        assert count > 100


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_a_page_can_be_read(browser: Any, report_file: Path, width: int, scheme: str) -> None:
    with Opened(browser, report_file, width, scheme) as opened:
        page = opened.page
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        opened.check()
        assert page.locator(".chart .main-svg").count() >= 4
        assert "model" in page.locator("#score-chart .legend").text_content()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
        assert dark == (scheme == "dark")
        if not dark:  # the charts follow when the system turns dark
            before = page.locator("#score-chart .xtick text").first.evaluate("(each) => getComputedStyle(each).fill")
            page.emulate_media(color_scheme="dark")
            opened.check()
            after = page.locator("#score-chart .xtick text").first.evaluate("(each) => getComputedStyle(each).fill")
            assert before != after


def test_these_checks_can_fail(browser: Any, report_file: Path) -> None:
    with Opened(browser, report_file, 360) as opened:
        page = opened.page
        page.add_style_tag(content=".small { color: #c0c0c0 } h1 { width: 900px }")
        page.evaluate("document.querySelector('#browser-panels img').alt = ''")
        page.evaluate("document.querySelector('label[for=browser-lead]').remove()")
        assert [fault.partition(":")[0] for fault in page.evaluate(FAULTS)] == ["no alt", "no name"]
        assert page.evaluate(PALE)[1]
        assert opened.wide()


def test_sliders_and_lists_work_by_keyboard(browser: Any, report_file: Path) -> None:
    with Opened(browser, report_file, 1280) as opened:
        page = opened.page
        forecast = page.locator("#browser-panels img").nth(2)
        window = page.locator("#browser-window-text")

        def shown() -> tuple[str, str, str]:
            return (
                forecast.get_attribute("src"),
                forecast.get_attribute("alt"),
                page.locator("#browser-lead-text").inner_text(),
            )

        assert "(median)" in window.inner_text()
        assert shown()[2] == "+10 min"
        assert page.locator("#browser-panels img").first.get_attribute("alt").startswith("last past frame, window ")
        page.locator("#browser-window").focus()
        page.keyboard.press("Home")
        page.locator("#browser-lead").focus()
        page.keyboard.press("Home")
        first = shown()
        assert first[1].startswith("forecast, +5 min")
        page.keyboard.press("ArrowRight")
        second = shown()
        assert all(before != after for before, after in zip(first, second, strict=True))
        assert second[2] == "+10 min"
        assert page.locator("#browser-lead").get_attribute("aria-valuetext") == "+10 min"
        page.keyboard.press("ArrowLeft")
        assert shown() == first
        page.locator("#browser-window").focus()
        page.keyboard.press("ArrowRight")
        assert shown()[0] != first[0]
        assert window.inner_text().startswith("2 of 4: ")
        play = page.locator("#browser-play")
        play.focus()
        page.keyboard.press("Enter")  # it shows the next lead time at once, and goes on until it is pressed again
        assert play.inner_text() == "Pause"
        for lead in ("+10 min", "+5 min"):
            page.locator("#browser-lead-text", has_text=lead).wait_for()
        page.keyboard.press("Enter")
        assert play.inner_text() == "Play"
        assert page.locator("#line-table tbody tr").count() == 5
        page.locator("#score-choice").focus()
        table = page.locator(".score-table:visible summary")
        assert table.inner_text() == "RMSE as a table"
        page.keyboard.press("ArrowDown")
        assert table.inner_text() == "skill over each baseline as a table"
        assert "over persistence" in page.locator("#score-chart .legend").text_content()
        assert opened.complaints == []


def test_runs_side_by_side_can_be_read_on_a_phone(browser: Any, reports_file: Path) -> None:
    with Opened(browser, reports_file, 360) as opened:
        opened.check()
        assert opened.page.locator("#score-chart .legend").text_content().count("model") == 2
        assert opened.page.locator("#line-chart .ytitle").text_content() == f"{EVIL} (mm/h)"
        assert opened.page.locator("script").count() == 4  # none comes from the name of a run


def test_text_and_tables_remain_without_scripts_and_in_print(browser: Any, report_file: Path) -> None:
    with Opened(browser, report_file, 1280, script=False) as opened:
        assert "need JavaScript" in opened.page.locator("noscript").inner_text()
        assert opened.page.get_by_text("RMSE as a table").is_visible()
        opened.page.emulate_media(media="print")
        assert not opened.page.locator("nav").is_visible()
