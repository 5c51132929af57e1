"""The page as a person uses it: headless Chromium with its fake camera, every switch, what is shown when nothing comes."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd_inst.inference.sources import Frame
from bdd_inst.live.browser_camera import BrowserCamera
from bdd_inst.live.page import Page
from bdd_inst.live.pipeline import Meter, Settings, run
from tests.live import chromium
from tests.live.chromium import FAKE_CAMERA, Chromium

pytestmark = pytest.mark.skipif(
    chromium.PROGRAM is None,
    reason="no Chromium here; install Debian's chromium to run the browser tests",
)
ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 240, 320

# Mean and spread of the running image's colors (R, G, B) around a place given in shares of its width and height.
LOOK = """(() => {
  const image = document.getElementById("image"), canvas = document.createElement("canvas"), n = 24;
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(%s * canvas.width - n / 2, %s * canvas.height - n / 2, n, n).data;
  const mean = [0, 1, 2].map(c => data.filter((_, i) => i %% 4 == c).reduce((a, b) => a + b, 0) / n / n);
  const spread = Math.sqrt(data.filter((_, i) => i %% 4 == 1).reduce((a, b) => a + (b - mean[1]) ** 2, 0) / n / n);
  return [...mean, spread];
})()"""


def scene() -> np.ndarray:
    """A disc that is the redder the nearer to its middle, on a chequered ground."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    chequer = ((y // 8 + x // 8) % 2).astype(np.float32)[..., None]
    ground = chequer * (170, 150, 90) + (1 - chequer) * (90, 70, 30)
    far = np.clip(1 - np.hypot(y - HEIGHT / 2, x - WIDTH / 2) / 90, 0, 1)[..., None]
    red = np.array((60, 60, 220)) * far + 110 * (1 - far)
    return np.where(far > 0, red, ground).astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """What Chromium's fake camera shows: JPEGs one after the other."""
    path = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    done, data = cv2.imencode(".jpg", scene(), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    path.write_bytes(data.tobytes() * 30)
    return path


@pytest.fixture(scope="module")
def browser(film) -> Iterator[Chromium]:
    browser = Chromium(*FAKE_CAMERA, f"--use-file-for-fake-video-capture={film}")
    yield browser
    browser.close()


class Served:
    """The whole chain in a thread: browser's camera, a segmenter, the page."""

    def __init__(self, segmenter, camera: BrowserCamera | None, source=None):
        self.stop, self.meter = threading.Event(), Meter()
        self.settings = Settings()
        if camera is not None:
            camera.stop = self.stop
            source = camera.source()
        self.page = Page(self.settings, self.meter, self.stop, 0, camera, source.name)
        arguments = (source, segmenter, self.page, self.settings, self.meter, self.stop)
        self.thread = threading.Thread(target=run, args=arguments)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def served(segmenter, browser) -> Iterator[Served]:
    served = Served(segmenter, BrowserCamera(threading.Event()))
    browser.open(served.page.address)
    browser.until("document.getElementById('stage')?.className === 'running'")
    yield served
    served.end()
    browser.open("about:blank")


def look(browser: Chromium, across: float, down: float) -> list[float]:
    return browser.run(LOOK % (across, down))


def settles(browser: Chromium, across: float, down: float, expected, off: float = 14) -> None:
    """Wait until the image has that color (R, G, B) there."""
    close = " && ".join(f"Math.abs(v[{i}] - {c}) < {off}" for i, c in enumerate(expected))
    browser.until(f"(v => {close})({LOOK % (across, down)})")


def press(browser: Chromium, selector: str) -> None:
    browser.run(f"document.querySelector({selector!r}).click()")


def slide(browser: Chromium, name: str, value: float) -> None:
    browser.run(
        f"(e => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }})(document.getElementById('{name}'))"
    )


def test_backgrounds_are_switched(served, browser, tmp_path):
    browser.until(f"{LOOK % (0.1, 0.1)}[3] < 8")  # blurred from the start
    assert look(browser, 0.5, 0.5)[0] > 190
    slide(browser, "strength", 0)
    browser.until(f"{LOOK % (0.1, 0.1)}[3] > 25")  # the chequers are there again
    assert browser.run("document.getElementById('strength-value').textContent") == "0 %"
    press(browser, "[value=none]")
    settles(browser, 0.1, 0.1, (0, 0, 0))
    assert look(browser, 0.5, 0.5)[0] > 190
    press(browser, "[value=color]")
    settles(browser, 0.1, 0.1, (0, 0xB1, 0x40))
    orange = tmp_path / "orange.png"
    cv2.imwrite(str(orange), np.full((60, 80, 3), (0, 128, 255), np.uint8))
    press(
        browser, "[value=given]"
    )  # nothing is chosen yet: the color stays until there is an image
    browser.choose("#file", orange)
    settles(browser, 0.1, 0.1, (255, 128, 0))
    press(browser, "[value=blur]")
    slide(browser, "strength", 0.8)
    browser.until(f"{LOOK % (0.1, 0.1)}[3] < 8")
    press(browser, "[value=given]")
    settles(browser, 0.1, 0.1, (255, 128, 0))
    assert look(browser, 0.5, 0.5)[0] > 190


def test_threshold_mask_and_meter(served, browser):
    press(browser, "#mask")
    settles(browser, 0.5, 0.5, (255, 255, 255))
    settles(browser, 0.1, 0.1, (0, 0, 0))
    place = 0.5 + 70 / WIDTH  # where the disc is hardly red
    slide(browser, "threshold", 0.1)
    browser.until(f"{LOOK % (place, 0.5)}[0] > 150")
    slide(browser, "threshold", 0.95)
    browser.until(f"{LOOK % (place, 0.5)}[0] < 40")
    assert served.settings.threshold == 0.95
    press(browser, "#mask")
    press(browser, "[value=none]")
    settles(browser, 0.9, 0.9, (0, 0, 0))
    press(browser, "#meter")
    browser.until(f"{LOOK % (0.12, 0.09)}[3] > 25")  # letters
    press(browser, "#smooth")
    browser.until("fetch('/state').then(a => a.json()).then(s => !s.smooth)")
    assert not served.settings.smooth
    assert re.search(r"\d+\.\d fps, \d+ ms behind", browser.text())


def test_a_file_that_is_no_image_is_named_and_changes_nothing(served, browser, tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    browser.choose("#file", tmp_path / "x.png")
    browser.until("document.getElementById('error').innerText.startsWith('background: ')")
    assert browser.run("document.querySelector('[value=blur]').checked")


def test_the_button_ends_the_run_and_the_page_says_so(served, browser):
    press(browser, "#stop")
    served.thread.join(60)
    assert not served.thread.is_alive()
    browser.until("document.getElementById('caption').innerText.includes('ended')")


def test_it_says_that_nobody_is_there_and_that_no_frame_comes(browser, monkeypatch):
    monkeypatch.setattr("bdd_inst.live.page.LOST", 0.3)
    camera = BrowserCamera(threading.Event())
    served = Served(lambda frame: np.zeros((8, 8), np.float32), camera)
    try:
        browser.open(served.page.address)
        browser.until("document.body?.innerText.includes('nobody in the image')")
        served.page.camera.take = lambda data: None  # the camera is pulled out
        browser.until("document.body.innerText.includes('no frames from your camera')")
        assert "fps" not in browser.text()
    finally:
        served.end()
        browser.open("about:blank")


def test_it_waits_for_a_camera_of_the_machine_by_name(browser, segmenter):
    from bdd_inst.live.sources import Source

    begin = threading.Event()

    def frames() -> Iterator[Frame]:
        begin.wait(60)
        yield from (Frame("x", number, scene()) for number in range(1, 4))
        served.stop.wait(60)

    served = Served(segmenter, None, Source("camera 3", "x", frames, live=True))
    try:
        browser.open(served.page.address)
        browser.until("document.body?.innerText.includes('waiting for camera 3')")
        begin.set()
        browser.until("document.getElementById('stage').className === 'running'")
        settles(browser, 0.5, 0.5, look(browser, 0.5, 0.5)[:3])
    finally:
        begin.set()
        served.end()
        browser.open("about:blank")


@pytest.mark.slow
def test_the_command_with_its_own_model_and_the_browsers_test_image():
    command = ["-m", "bdd_inst", "live", "--input", "browser", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    browser = Chromium(*FAKE_CAMERA)
    try:
        address = re.search(r"http://[\d.:]+/", process.stdout.readline()).group()
        browser.open(address)
        browser.until("['running', 'nobody'].includes(document.getElementById('stage')?.className)")
        press(browser, "#stop")
        assert process.wait(60) == 0
        assert re.match(r"\d+ frames, ", process.stdout.read())
    finally:
        browser.close()
        process.kill()
        process.wait(60)
        process.stdout.close()
