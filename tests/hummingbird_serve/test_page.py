"""A person's way through the page, in headless Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1280,900",
)  # fmt: skip
STATE = """
const video = document.querySelector("#%s-video video");
return video ? [video.readyState, video.duration, video.videoWidth, video.currentTime] : [0, 0, 0, 0];
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="needs Debian's packages chromium and chromium-driver"
    ),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    driver = webdriver.Chrome(service=webdriver.ChromeService(str(DRIVER)), options=options)
    driver.set_page_load_timeout(120)
    yield driver
    driver.quit()


def test_a_prompt_becomes_a_video_that_plays(server: str, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, 120)

    def plays(name: str) -> bool:
        ready, duration, width, at = browser.execute_script(STATE % name)
        return bool(ready >= 2 and duration > 0 and width == 64 and at > 0)

    browser.get(server)
    prompt = wait.until(lambda page: page.find_element(By.CSS_SELECTOR, "#prompt textarea"))
    prompt.clear()
    prompt.send_keys("a blue star growing on a brick background")
    browser.find_element(By.ID, "go").click()
    wait.until(lambda _: plays("student"))
    assert " s" in browser.find_element(By.ID, "student-note").text

    browser.find_element(By.CSS_SELECTOR, "#compare input").click()
    browser.find_element(By.ID, "go").click()
    wait.until(lambda _: plays("teacher"))
    wait.until(lambda page: "faster" in page.find_element(By.ID, "status").text)
    assert browser.find_element(By.CSS_SELECTOR, "#student-video a[download]").get_attribute("href")
    browser.save_screenshot(str(tmp_path / "page.png"))

    prompt.send_keys(Keys.CONTROL, "a")  # as a person would; clear() does not tell the page of its change
    prompt.send_keys(Keys.BACKSPACE)
    browser.find_element(By.ID, "go").click()
    wait.until(lambda page: "the prompt is empty" in page.find_element(By.TAG_NAME, "body").text)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
