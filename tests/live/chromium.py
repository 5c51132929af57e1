"""A headless Chromium driven over pipes: pages opened, scripts run, clicks, files chosen, screenshots."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.waiting import LAST_RESORT

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"),
    *("--no-first-run", "--disable-extensions", "--window-size=1360,800"),
    *("--remote-debugging-pipe", "--disable-background-networking"),
)
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
# The browser reads commands from its file 3 and answers on 4.
START = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """One browser with one page. Commands are those of the DevTools protocol."""

    def __init__(self, *switches: str):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        here, self._commands = os.pipe()
        self._answers, there = os.pipe()
        arguments = [PROGRAM, *SWITCHES, f"--user-data-dir={self.folder.name}", *switches]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(here), str(there), *arguments],
            pass_fds=(here, there),
            stderr=subprocess.DEVNULL,
        )
        os.close(here)
        os.close(there)
        self._number, self._rest, self._session = 0, b"", None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def ask(self, method: str, **parameters: object) -> dict:
        """One command and its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                data = os.read(self._answers, 1 << 20)
                assert data, "the browser has ended"
                self._rest += data
            text, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address: str) -> None:
        """Go there."""
        self.ask("Page.navigate", url=address)

    def run(self, script: str) -> object:
        """The value of a JavaScript expression; promises are waited for."""
        result = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, script: str) -> object:
        """Wait for an expression to become true, and give it."""
        end = time.monotonic() + LAST_RESORT
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}; the page says: {self.text()}"
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """What a person can read on the page."""
        return self.run("document.body ? document.body.innerText : ''")

    def choose(self, selector: str, path: Path) -> None:
        """Give a file to an input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path) -> None:
        """The page as PNG."""
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(LAST_RESORT)
        os.close(self._commands)
        os.close(self._answers)
        self.folder.cleanup()
