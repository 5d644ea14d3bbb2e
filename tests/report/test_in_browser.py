"""The page in a real browser, at the width of a desktop and of a phone, with scripts and without."""

import sys
from pathlib import Path

import pytest

from empirisk.report import page

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import WIDTHS, chromium, faults, show

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver, tmp_path, make):
    """Open a page at a width; with scripts or without."""

    def opened(width, context=None, scripts=True):
        file = tmp_path / "report.html"
        file.write_text(page(context or make()), "utf-8")
        show(driver, file, width, scripts=scripts)
        return driver

    return opened


@pytest.mark.parametrize("width", WIDTHS)
def test_no_message_on_the_console_and_nothing_cut_off(opened, width):
    assert faults(opened(width), width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_do_not_break_the_page(opened, make, width):
    driver = opened(
        width, make(names=("x" * 300, "a class with a rather long name in many words, as they come"), name="y" * 300)
    )
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_threshold_and_the_prevalence_can_be_moved(opened):
    driver = opened(1280)
    seen = lambda name: driver.execute_script(f"return document.querySelector('.dial [data-out={name}]').textContent")
    assert (seen("threshold"), seen("sensitivity"), seen("ppv")) == (".500", ".750 [.900, 1.000]", ".273")
    move = "const i = document.querySelectorAll('.dial input')[arguments[0]]; i.value = arguments[1]; i.dispatchEvent(new Event('input'));"
    driver.execute_script(move, 0, 10)
    assert seen("sensitivity") == ".500 [.900, 1.000]"
    assert seen("specificity") == "1.000 [.100, .900]"
    assert seen("ppv") == "1.000"
    driver.execute_script(move, 1, 50)
    assert (seen("prevalence"), seen("tp"), seen("tn")) == ("50 %", "250", "500")


def test_pictures_can_be_filtered_by_class(opened):
    driver = opened(390)
    shown = "return [...document.querySelectorAll('#worst .tiles li')].filter((i) => i.offsetParent).length"
    assert driver.execute_script(shown) == 2
    driver.execute_script("document.querySelectorAll('#worst .filter button')[1].click()")
    assert driver.execute_script(shown) == 1
    assert (
        driver.execute_script(
            "return document.querySelectorAll('#worst .filter button')[1].getAttribute('aria-pressed')"
        )
        == "true"
    )


def test_with_scripts_off_everything_is_there(opened):
    from selenium.webdriver.common.by import By

    driver = opened(390, scripts=False)
    words = driver.find_element(By.TAG_NAME, "body").text
    for number in ("[.942, .982]", "[.935, .975]", "At threshold .500", "one class only", "SHA-256"):
        assert number in words
    assert len(driver.find_elements(By.CSS_SELECTOR, ".knobs")) == 1
    assert not driver.find_element(By.CSS_SELECTOR, ".knobs").is_displayed()  # what would not move is not shown


def test_the_keyboard_reaches_every_button(opened):
    driver = opened(1280)
    wanted = "return document.querySelectorAll('a[href], summary, button, input').length"
    reached = (
        "return [...document.querySelectorAll('a[href], summary, button, input')].filter((e) => e.tabIndex >= 0).length"
    )
    assert driver.execute_script(wanted) == driver.execute_script(reached) > 20
