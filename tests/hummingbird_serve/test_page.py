"""A person's way through the page, in headless Chromium."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hummingbird_serve.requests import ServedModel
from page_server import MAX_TOKENS, PacedGenerator, page_server

from .conftest import served

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1280,900",
)  # fmt: skip
PHONE = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0, "touch": True}}
NO_EVENTS = """window.EventSource = class {
  constructor() { setTimeout(() => this.onerror(), 0); window.refused = true; }
  addEventListener() {}
  close() {}
};"""
ROLES = frozenset(
    {
        "button",
        "checkbox",
        "combobox",
        "link",
        "progressindicator",
        "slider",
        "spinbutton",
        "textbox",
        "Video",
    }
)
CARDS = "[...document.querySelectorAll('.card')]"
PLAYS = f"{CARDS}[%d]?.querySelector('video')?.currentTime > 0"
IN_VIEW = """(() => { const box = document.querySelector('.card .doing').getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth; })()"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="needs Debian's packages chromium and chromium-driver"
    ),
]

Open = Callable[..., "Tab"]


class Tab:
    """A page in the browser, and what a test wants of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def js(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def wait(self, expression: str, seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := self.js(expression)):
            assert time.monotonic() < end, f"never: {expression}\n{self.driver.get_log('browser')}"
            time.sleep(0.1)
        return found

    def go(self, url: str) -> None:
        self.driver.get(url)
        self.wait("window.hummingbird && document.querySelector('#prompt textarea')")

    def find(self, selector: str) -> Any:
        self.wait(f"document.querySelector({selector!r})")  # Gradio draws one thing after the other
        return self.driver.find_element("css selector", selector)

    def says(self, words: str, card: int = 0) -> None:
        self.wait(f"{CARDS}[{card}]?.querySelector('.doing')?.textContent?.includes({words!r})")

    def press(self, label: str) -> None:
        """Clicks a button of the first card."""
        self.wait(
            f"(window.found = [...document.querySelectorAll('.card .small')].find(b => b.textContent === {label!r}))"
        )
        self.js("window.found").click()

    def unnamed(self) -> list[str]:
        """The roles of what can be used, but has no name that a screen reader could say."""
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        used = [node for node in nodes if node.get("role", {}).get("value") in ROLES]
        assert used
        return [node["role"]["value"] for node in used if not node.get("name", {}).get("value")]

    def write(self, prompt: str) -> None:
        from selenium.webdriver.common.keys import Keys

        field = self.find("#prompt textarea")
        field.send_keys(Keys.CONTROL, "a")  # as a person would; clear() does not tell the page of its change
        field.send_keys(Keys.BACKSPACE, prompt)

    def make(self, prompt: str) -> str:
        """Makes a video; its id."""
        before = self.js("location.hash")
        self.write(prompt)
        self.find("#go button, button#go").click()
        self.wait(f"location.hash && location.hash !== {before!r}")
        return str(self.js("location.hash.slice(1)"))


@pytest.fixture
def open_tab(tmp_path: Path) -> Iterator[Open]:
    from selenium import webdriver

    drivers = []

    def open_(phone: bool = False, dark: bool = False) -> Tab:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for option in (*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
            options.add_argument(option)
        options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "got")})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if phone:
            options.add_experimental_option("mobileEmulation", PHONE)
        driver = webdriver.Chrome(service=webdriver.ChromeService(str(DRIVER)), options=options)
        driver.set_page_load_timeout(120)
        if dark:
            scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        drivers.append(driver)
        return Tab(driver)

    yield open_
    for driver in drivers:
        driver.quit()


@pytest.fixture
def generator() -> PacedGenerator:
    return PacedGenerator(0.05)


@pytest.fixture
def two_models() -> list[ServedModel]:
    origin = {
        "kind": "pruned", "model_id": "pruned-1", "made_by": "prune", "run_id": "prune-7", "parameters": 5,
        "snapshot_id": "9007199254740993", "plan": {"kept": 0.5}, "licence": None,
    }  # fmt: skip
    facts: dict[str, Any] = {"max_tokens": MAX_TOKENS, "num_frames": 16}
    student = served(**facts, version="pruned-1", lineage=(origin,), qualities=("fast", "full"))
    return [student, served("teacher", **facts, steps=20, max_steps=50)]


def test_on_a_phone_in_the_dark_a_job_is_found_again_and_others_are_canceled_and_deleted(
    open_tab: Open, generator: PacedGenerator, two_models: list[ServedModel], tmp_path: Path
) -> None:
    with page_server(tmp_path, two_models, generator) as url:
        tab = open_tab(phone=True, dark=True)
        tab.go(url)
        assert tab.js("document.body.classList.contains('dark')")
        generator.free.clear()
        first = tab.make("a red circle")
        tab.says("Step 2 of 4")
        tab.wait(IN_VIEW)  # the button is far above: its effect came into view
        tab.make("a blue star")
        tab.make("a green square")
        tab.says("place 1 in the queue")
        tab.press("Cancel")
        tab.says("Canceled")
        assert tab.js("document.documentElement.scrollWidth") == 390
        assert tab.unnamed() == []
        tab.driver.save_screenshot(str(tmp_path / "phone.png"))

        tab.driver.get("about:blank")
        tab.go(url)  # the address without a video's id: the page knows of those that run
        assert len(tab.wait("[...document.querySelectorAll('.thumb')]")) == 3
        tab.find(f".thumb[data-id={first}]").click()
        tab.says("Step 2 of 4")
        tab.driver.refresh()
        tab.says("Step 2 of 4")
        tab.wait(IN_VIEW)
        generator.free.set()
        tab.says("Made in 0.20 s")
        tab.wait(PLAYS % 0)

        tab.press("Download")
        got = tmp_path / "got" / f"{first}.mp4"
        end = time.monotonic() + 30
        while not got.is_file():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert got.read_bytes() == httpx.get(f"{url}/v1/videos/{first}/content").content
        tab.press("Delete")
        assert httpx.get(f"{url}/v1/videos/{first}").status_code == 200  # asks once more
        tab.press("Really delete?")
        tab.wait("document.querySelectorAll('.thumb').length === 2")
        assert httpx.get(f"{url}/v1/videos/{first}").status_code == 404
        tab.driver.refresh()
        assert len(tab.wait("[...document.querySelectorAll('.thumb')]")) == 2
        assert [entry for entry in tab.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_teacher_comes_beside_it_and_several_runs_give_medians(
    open_tab: Open, generator: PacedGenerator, two_models: list[ServedModel], tmp_path: Path
) -> None:
    with page_server(tmp_path, two_models, generator) as url:
        tab = open_tab()
        tab.go(url)
        tab.find("#compare input").click()
        tab.make("a red circle")
        tab.wait(PLAYS % 1)
        assert "In this one pair of runs Hummingbird was 5.0 times faster." in tab.find("#verdict").text
        assert "medians" not in tab.find("#verdict").text
        for seed in range(2):
            for model in ("student", "teacher"):
                httpx.post(
                    f"{url}/v1/videos/sync", json={"prompt": "x", "model": model, "seed": seed}, timeout=60
                )
        tab.driver.refresh()
        tab.wait("document.getElementById('verdict')?.textContent.includes('medians')")
        assert "0.20 s (3 runs of 4 steps) against 1.00 s (3 runs of 20 steps)" in tab.find("#verdict").text

        tab.find(".card summary").click()
        tab.wait("document.querySelector('.origin')?.textContent.includes('9007199254740993')")
        assert "prune-7" in tab.find(".origin").text
        asked = tab.js("performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)")
        assert set(asked) <= {url, "null"}


def test_a_prompt_is_counted_and_settings_are_those_chosen_and_taken_again(
    open_tab: Open, generator: PacedGenerator, two_models: list[ServedModel], tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    with page_server(tmp_path, two_models, generator) as url:
        tab = open_tab()
        tab.go(url)
        tab.wait("document.getElementById('tokens')?.textContent.startsWith('11 of 24')")
        tab.write("very " * 30)
        tab.wait("document.querySelector('#tokens.over')?.textContent.includes('8 too many')")
        tab.find("#go").click()
        tab.wait("document.getElementById('problem')?.textContent.includes('32 tokens')")
        tab.wait("document.querySelector('#choices select')")
        tab.find("#choices select").send_keys("full")
        tab.find("#seed textarea, #seed input").send_keys("7")
        video = httpx.get(f"{url}/v1/videos/{tab.make('a red circle')}").json()
        assert (video["seed"], video["quality"], video["prompt"]) == (7, "full", "a red circle")
        assert tab.find("#problem").text == ""
        tab.says("Made in")
        tab.make("a blue star")
        tab.says("Made in")
        tab.js(f"document.querySelector('.thumb[data-id={video['id']}]').focus()")
        tab.driver.switch_to.active_element.send_keys(Keys.ENTER)
        tab.wait(f"{CARDS}[0].dataset.id === {video['id']!r}")
        tab.press("Use again")
        assert tab.find("#prompt textarea").get_attribute("value") == "a red circle"
        before = tab.js("location.hash")
        tab.write("a yellow heart")
        tab.find("#prompt textarea").send_keys(Keys.SHIFT, Keys.ENTER)
        tab.wait(f"location.hash !== {before!r}")
        made = httpx.get(f"{url}/v1/videos/{tab.js('location.hash.slice(1)')}").json()
        assert (made["seed"], made["prompt"]) == (7, "a yellow heart")


def test_where_events_do_not_come_the_page_asks_again(
    open_tab: Open, generator: PacedGenerator, two_models: list[ServedModel], tmp_path: Path
) -> None:
    with page_server(tmp_path, two_models, generator) as url:
        tab = open_tab()
        tab.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_EVENTS})
        tab.go(url)
        tab.make("a red circle")
        tab.says("Made in")
        assert tab.js("window.refused")


def test_behind_a_login_nothing_of_the_page_is_open(
    open_tab: Open, generator: PacedGenerator, two_models: list[ServedModel], tmp_path: Path
) -> None:
    with page_server(tmp_path, two_models, generator, key="long-and-random") as url:
        routes = (
            "",
            "config",
            "gradio_api/heartbeat/x",
            "gradio_api/queue/data?session_hash=x",
            "gradio_api/info",
        )
        posts = ("gradio_api/upload", "gradio_api/reset", "gradio_api/cancel", "gradio_api/queue/join")
        answers = [httpx.get(f"{url}/{route}") for route in routes]
        answers += [httpx.post(f"{url}/{route}", json={}) for route in posts]
        assert {answer.status_code for answer in answers} == {401}

        tab = open_tab()
        tab.driver.get(url)
        tab.find("#key").send_keys("long-and-random")
        tab.find("button").click()
        tab.wait("window.hummingbird && document.querySelector('#prompt textarea')")
        tab.make("a red circle")
        tab.says("Made in")
        tab.wait(PLAYS % 0)
        tab.find(".head button").click()
        tab.wait("location.pathname === '/login'")


def test_the_page_of_the_server_on_ray_makes_a_video(server: str, open_tab: Open, tmp_path: Path) -> None:
    tab = open_tab()
    tab.go(server)
    identity = tab.make("a blue star")
    tab.says("Made in")
    tab.wait(PLAYS % 0)
    assert re.fullmatch(r"video_[0-9a-f]{32}", identity)
    assert [entry for entry in tab.driver.get_log("browser") if entry["level"] == "SEVERE"] == []
