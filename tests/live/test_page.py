"""The page: shows the stream to this machine's own browser, changes settings, refuses everybody else."""

from __future__ import annotations

import http.client
import io
import json
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.inference.sources import Frame
from bdd_inst.live.backgrounds import Blur, Still
from bdd_inst.live.page import Page
from bdd_inst.live.page_server import HOST, LARGEST
from bdd_inst.live.pipeline import Meter, Settings


@pytest.fixture
def page():
    with Page(Settings(), Meter(), threading.Event(), port=0) as page:
        yield page


def ask(page: Page, method: str, path: str, body=None, **headers) -> tuple[int, bytes]:
    """A request with the headers as given (``Host`` too)."""
    connection = http.client.HTTPConnection(HOST, page.server.server_port, timeout=10)
    try:
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def change(page: Page, **wanted) -> tuple[int, dict]:
    code, body = ask(page, "POST", "/settings", json.dumps(wanted))
    return code, json.loads(body)


def test_the_page_and_its_state(page):
    code, body = ask(page, "GET", "/")
    assert code == 200
    assert b"/stream" in body
    state = json.loads(ask(page, "GET", "/state")[1])
    assert (state["background"], state["threshold"], state["view"]) == ("blur", 0.5, "picture")
    assert ask(page, "GET", "/etc/passwd")[0] == 404
    assert ask(page, "POST", "/elsewhere")[0] == 404


def test_it_listens_on_loopback_alone(page):
    assert page.server.server_address[0] == "127.0.0.1"
    assert page.address == f"http://127.0.0.1:{page.server.server_port}/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/stream"), ("GET", "/state"), ("POST", "/stop")]
)
def test_no_other_host_and_no_other_site_is_answered(page, headers, method, path):
    code, body = ask(page, method, path, **headers)
    assert (code, body) == (403, b"not from here")
    assert not page.stop.is_set()


def test_the_page_itself_may_ask(page):
    own = f"localhost:{page.server.server_port}"
    assert ask(page, "GET", "/", Host=own, Sec_Fetch_Site="none")[0] == 200
    code, _ = ask(
        page,
        "POST",
        "/settings",
        "{}",
        Host=own,
        Origin=f"http://{own}",
        Sec_Fetch_Site="same-origin",
    )
    assert code == 200


def test_switches_change_the_settings(page):
    assert change(page, background="#00b140", threshold=0.3, view="mask", meter=True)[0] == 200
    assert isinstance(page.settings.background, Still)
    assert (page.settings.threshold, page.settings.view, page.settings.meter) == (0.3, "mask", True)
    change(page, background="blur", strength=0.9)
    assert isinstance(page.settings.background, Blur)
    assert page.settings.background.strength == 0.9
    assert change(page, background="none")[1]["background"] == "none"
    assert page.settings.background is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"background": "/etc/passwd"},
        {"background": "given", "threshold": 2},
        {"background": 7},
        {"background": "#12"},
        {"threshold": "high"},
        {"threshold": True},
        {"strength": -1},
        {"strength": float("nan")},
        {"view": "all"},
        {"weights": "x"},
    ],
)
def test_a_bad_switch_changes_nothing_and_is_named(page, wanted):
    before = page.state()
    code, answer = change(page, **wanted)
    assert code == 400
    assert answer["error"]
    assert page.state() == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 4000])
def test_what_is_no_json_object_is_refused(page, body):
    assert ask(page, "POST", "/settings", body)[0] == 400


def test_an_image_can_be_sent(page):
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (255, 128, 0)).save(stream, "PNG")
    code, body = ask(page, "POST", "/background", stream.getvalue())
    assert (code, json.loads(body)["background"]) == (200, "given")
    shown = page.settings.background(np.zeros((3, 4, 3), np.uint8), None)
    assert (shown == (0, 128, 255)).all()
    code, body = ask(page, "POST", "/background", b"no image")
    assert code == 400
    assert json.loads(body)["error"].startswith("background: not an image")
    assert ask(page, "POST", "/background", b"", Content_Length=str(LARGEST + 1))[0] == 413


def test_frames_are_streamed_as_jpeg(page):
    connection = http.client.HTTPConnection(HOST, page.server.server_port, timeout=10)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type").startswith("multipart/x-mixed-replace")
    for number in range(1, 4):
        page.show(Frame("x", number, None), np.full((16, 16, 3), 60 * number, np.uint8))
        assert answer.readline() == b"--frame\r\n"
        head = {}
        while line := answer.readline().strip():
            key, value = line.decode().split(": ")
            head[key] = value
        data = answer.read(int(head["Content-Length"]))
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert abs(int(image.mean()) - 60 * number) <= 2
        answer.readline()
    connection.close()


def test_the_button_ends_the_run(page):
    assert ask(page, "POST", "/stop")[0] == 200
    assert page.stop.is_set()


def test_a_taken_port_is_passed_over(page):
    with Page(Settings(), Meter(), threading.Event(), port=page.server.server_port) as other:
        assert other.server.server_port != page.server.server_port


def test_change_says_what_is_wrong():
    page = Page(Settings(background=None), Meter(), threading.Event(), port=0)
    page.server.server_close()
    assert page.state()["background"] == "none"
    with pytest.raises(DataError, match="no setting called 'x'"):
        page.change({"x": 1})
