"""The report of a study in a browser: sorting, filters, widths, contrast and keyboard, as Chromium lays it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from skdeep.study._report import write_report
from skdeep.study._results import StudyResults
from tests.study_folders import write_study

pytestmark = pytest.mark.browser

MODELS = ("BR", "CC", "a rather long name of a model that takes all the room", "ML-kNN")
MEASURES = {
    "f1_samples": True,
    "f1_micro": True,
    "f1_macro": True,
    "map_macro": True,
    "subset_accuracy": True,
    "hamming_loss": False,
    "ranking_loss": False,
    "coverage": False,
    "one_error": False,
}
N_ROWS = 40
WIDTHS = (380, 1400)
THEMES = ("light", "dark")

# Text that is seen, and how it stands out from what is behind it, by WCAG 2.2.
CONTRAST = """
const parse = (text) => {
  const found = text.match(/[\\d.]+/g).map(Number);
  const scale = text.startsWith("color(") ? 255 : 1;
  return {rgb: found.slice(0, 3).map((part) => part * scale), alpha: found.length > 3 ? found[3] : 1};
};
const over = (top, below) => top.rgb.map((part, k) => part * top.alpha + below[k] * (1 - top.alpha));
const light = (rgb) => rgb.map((part) => part / 255)
  .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, k) => sum + part * [0.2126, 0.7152, 0.0722][k], 0);
const ratio = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const behind = (element) => {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    const style = getComputedStyle(each);
    layers.push(parse(style.backgroundColor));
    if (each.classList.contains("bar")) {
      const bar = style.backgroundImage.match(/rgb\\([^)]*\\)/)[0];
      layers.push(parse(bar));
      break;
    }
  }
  const paper = parse(getComputedStyle(document.body).backgroundColor).rgb;
  return layers.reverse().reduce((below, layer) => over(layer, below), paper);
};
const poor = [];
let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest("script, title, .unseen")) continue;
  if (!element.checkVisibility({visibilityProperty: true})) continue;
  const style = getComputedStyle(element);
  const colour = parse(element.closest("svg") ? style.fill : style.color);
  const ground = behind(element.closest("svg") ? element.closest("svg").parentElement : element);
  const found = ratio(over(colour, ground), ground);
  seen += 1;
  if (found < 4.5) poor.push(`${found.toFixed(2)} ${element.tagName}: ${walker.currentNode.data.trim().slice(0, 40)}`);
}
return [seen, [...new Set(poor)]];
"""

# Whatever reaches out of the window, but for what lies in a box that scrolls, and what is there for no eye.
WIDER = """
const wide = [];
for (const element of document.body.querySelectorAll("*")) {
  if (element.closest(".scroll table, pre, nav ul, .unseen, .skip")) continue;
  if (!element.checkVisibility()) continue;
  const box = element.getBoundingClientRect();
  if (box.width && (box.left < -0.5 || box.right > innerWidth + 0.5)) {
    wide.push(`${element.tagName}.${element.getAttribute("class")} from ${box.left} to ${box.right}`);
  }
}
return wide;
"""


def executable(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(names)} is there")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; it may talk to no network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = executable("chromium", "chromium-browser", "google-chrome")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every section, with long names, failures and pictures."""
    folder = tmp_path_factory.mktemp("browser")
    write_study(
        folder / "study",
        datasets=("yeast", "planet", "scene"),
        models=MODELS,
        measures=MEASURES,
        train_sizes=(0.25, 0.5, 1.0),
        failed=[("yeast", "ML-kNN", 0, 1)],
        missing=[("scene", "CC", 0, 2)],
        n_rows=N_ROWS,
    )
    images = np.random.default_rng(0).integers(256, size=(N_ROWS, 40, 40, 3), dtype=np.uint8)
    results = StudyResults.load(folder / "study")
    return write_report(results, folder / "report.html", images={"yeast": images}).as_uri()


@pytest.fixture
def show(browser: Any, address: str) -> Any:
    """Opens the report anew, so wide, in light or dark, on screen or in print; gives the browser."""

    def open_page(width: int = 1400, theme: str = "light", *, media: str = "", scripts: bool = True) -> Any:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        # a click must not have to wait for smooth scrolling
        wishes = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        metrics = {"width": width, "height": 0, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(address)
        return browser

    yield open_page
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def column(browser: Any, place: int) -> list[str]:
    """A column of the first table, as it stands on the page; hidden rows are left out."""
    return browser.execute_script(
        "return [...document.querySelector('#summary table').tBodies[0].rows].filter((row) => !row.hidden)"
        ".map((row) => row.cells[arguments[0]]).map((cell) => cell.dataset.v ?? cell.firstChild.textContent)",
        place,
    )


def open_all(browser: Any, is_open: bool) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach((e) => { e.open = arguments[0] })", is_open)


def heads(browser: Any) -> list[Any]:
    return browser.find_element("css selector", "#summary table").find_elements("css selector", "thead th")


def shown_measures(browser: Any) -> set[str]:
    return {head.get_attribute("data-measure") for head in heads(browser) if head.is_displayed()} - {None}


def test_report_opens_without_errors_and_asks_for_nothing_else(show: Any, address: str) -> None:
    browser = show()
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert {url for url in asked if url.startswith("file:")} == {address}


def test_columns_sort_both_ways_and_say_so(show: Any) -> None:
    browser = show()
    for place in (1, 6):
        expected = sorted(column(browser, place), key=float)
        greater_first = place == 1
        button = heads(browser)[place].find_element("css selector", "button")
        for descending in (greater_first, not greater_first):
            button.click()
            assert column(browser, place) == (expected[::-1] if descending else expected)
            order = "descending" if descending else "ascending"
            assert [head.get_attribute("aria-sort") for head in heads(browser)].count(order) == 1
            assert heads(browser)[place].get_attribute("aria-sort") == order
    heads(browser)[0].find_element("css selector", "button").click()
    assert column(browser, 0) == sorted(column(browser, 0), key=str.casefold)


def test_rows_without_a_value_stay_last(show: Any) -> None:
    browser = show()
    browser.execute_script(
        "const cell = document.querySelector('#summary tbody td'); delete cell.dataset.v; cell.textContent = '-'"
    )
    for _ in range(2):
        heads(browser)[1].find_element("css selector", "button").click()
        assert column(browser, 1)[-1] == "-"


def test_filter_leaves_the_rows_that_hold_all_words(show: Any) -> None:
    browser = show()
    field = browser.find_element("css selector", "#summary input[type=search]")
    assert field.accessible_name == "Filter models"
    field.send_keys("model LONG")
    assert column(browser, 0) == [MODELS[2]]
    assert browser.find_element("css selector", "#summary output").text == "3 of 12 rows"
    field.clear()
    field.send_keys(" ")
    assert len(column(browser, 0)) == len(MODELS)
    # of two tables of labels, one is shown
    browser.find_element("css selector", "#labels input[type=search]").send_keys("road")
    assert browser.find_element("css selector", "#labels output").text == "3 of 9 rows"


def test_measures_are_shown_and_hidden_at_will(show: Any) -> None:
    browser = show()
    shown = shown_measures(browser)
    assert "coverage" not in shown
    browser.find_element("css selector", "#summary details.columns summary").click()
    boxes = browser.find_elements("css selector", "#summary .columns input")
    for name in ("coverage", "f1_samples"):
        next(box for box in boxes if box.get_attribute("value") == name).click()
    assert shown_measures(browser) == (shown | {"coverage"}) - {"f1_samples"}


def test_one_choice_of_measure_holds_for_all_figures(show: Any) -> None:
    browser = show()
    options = browser.find_elements("css selector", ".choice[data-choice=Measure] > .option")
    chosen = {option.get_attribute("data-option") for option in options if option.get_attribute("hidden") is None}
    assert chosen == {"F1 samples"}
    select = browser.find_element("css selector", "#folds select")
    assert select.accessible_name == "Measure"
    select.find_element("xpath", "option[.='Hamming loss']").click()
    chosen = {option.get_attribute("data-option") for option in options if option.get_attribute("hidden") is None}
    assert chosen == {"Hamming loss"}
    selects = browser.find_elements("css selector", ".choice[data-choice=Measure] select")
    assert {each.get_property("value") for each in selects} == {"Hamming loss"}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(show: Any, width: int, theme: str) -> None:
    browser = show(width, theme)
    for details in (False, True):
        open_all(browser, details)
        page = browser.find_element("css selector", "html")
        assert page.get_property("scrollWidth") == page.get_property("clientWidth")
        assert browser.execute_script(WIDER) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_text_stands_out_from_its_background(show: Any, width: int, theme: str) -> None:
    browser = show(width, theme)
    open_all(browser, True)
    n_texts, poor = browser.execute_script(CONTRAST)
    assert n_texts > 300
    assert poor == []


def test_themes_differ(show: Any) -> None:
    bodies = (show(theme=theme).find_element("css selector", "body") for theme in THEMES)
    assert len({body.value_of_css_property("background-color") for body in bodies}) == 2


def test_keyboard_reaches_the_heads_and_shows_where_it_is(show: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = show()
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the results"
    sorting = None
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        sorting = browser.switch_to.active_element
        assert float(sorting.value_of_css_property("outline-width").removesuffix("px")) >= 2
        if sorting.find_elements("xpath", "parent::th"):
            break
    assert sorting is not None
    for key in (Keys.ENTER, Keys.SPACE):
        before = sorting.find_element("xpath", "parent::th").get_attribute("aria-sort")
        sorting.send_keys(key)
        assert sorting.find_element("xpath", "parent::th").get_attribute("aria-sort") != before
        assert browser.switch_to.active_element == sorting


def test_print_has_no_controls_and_keeps_within_the_sheet(show: Any) -> None:
    browser = show(720, media="print")
    for selector in ("nav", ".tools", ".control"):
        assert not any(element.is_displayed() for element in browser.find_elements("css selector", selector))
    assert browser.find_element("css selector", "h1").is_displayed()
    assert browser.find_element("css selector", "tbody th").value_of_css_property("position") == "static"
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(each.get_property("open") for each in browser.find_elements("css selector", "details"))


def test_report_can_be_read_without_scripts(show: Any) -> None:
    browser = show(scripts=False)
    assert browser.find_elements("css selector", "button, input, select") == []
    assert all(head.is_displayed() for head in heads(browser))
    figures = browser.find_elements("css selector", "#folds .option")
    assert len(figures) > 3
    assert all(figure.is_displayed() for figure in figures)
