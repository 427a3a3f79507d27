"""A headless Chromium to look at our pages with, spoken to over a pair of pipes: no port, no library.

The protocol is https://chromedevtools.github.io/devtools-protocol/: JSON messages, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
GIVE_UP_S = 180
FLAGS = (
    "--headless",
    "--no-sandbox",  # which containers do not let it have, and our own pages do not need
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def installed() -> str | None:
    """Path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page. What it logs, what goes wrong in it and what it asks for is kept in lists.

    Attributes:
        complaints: errors and warnings of its scripts, its console and the browser.
        requests: every address it asked for.
    """

    def __init__(self, to_browser: Any, from_browser: Any) -> None:
        self._to, self._from = to_browser, from_browser
        self._count = 0
        self._received = b""
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command; events that come in between are noted."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, path: Path, width: int = 1280, height: int = 900, *, phone: bool = False) -> None:
        """Show the file and wait until it has loaded and all its pictures are decoded."""
        self.size(width, height, phone=phone)
        self._events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive()
        self.run("Promise.all([...document.images].map((image) => image.decode()))")

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Of the window in CSS pixels; a phone has a finer screen and a finger."""
        scale = 2 if phone else 1
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def media(self, kind: str = "screen", *, dark: bool = False) -> None:
        """'screen' or 'print', light or dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """'mousePressed', 'mouseMoved', 'mouseReleased' or 'mouseWheel', at CSS pixels of the window."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the left button at `start`, move to `end` and let go."""
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        self.mouse("mouseMoved", *end, button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", clickCount=1)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """'touchStart', 'touchMove' or 'touchEnd', with the fingers that are down."""
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def press(self, key: str, text: str = "") -> None:
        """A key, by its name in JavaScript."""
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
        more = {"windowsVirtualKeyCode": codes.get(key, ord(text) if text else 0), "key": key, "code": key}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """A PNG of the window, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def print(self, path: Path) -> Path:
        """A PDF of A4 pages."""
        data = self.call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            piece = self._from.read1(1 << 20)
            assert piece, "the browser is gone"
            self._received += piece
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, parameters: dict[str, Any]) -> None:
        self._events.append(event)
        if event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif event == "Log.entryAdded":
            self.complaints.append(json.dumps(parameters["entry"]))
        elif event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A page in a browser of its own, which keeps its files in `folder`."""
    program = installed()
    if program is None:
        pytest.skip(f"no Chromium here (looked for {', '.join(NAMES)}); Debian: apt-get install chromium")
    pipes = [folder / "to_browser", folder / "from_browser"]
    for pipe in pipes:
        os.mkfifo(pipe)
    # The browser reads from its descriptor 3 and writes to 4.
    shell = ["sh", "-c", 'to=$1 from=$2; shift 2; exec "$@" 3<"$to" 4>"$from"', "sh", *map(str, pipes)]
    command = [*shell, program, *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    with (
        (folder / "browser.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
        pipes[0].open("wb", buffering=0) as to_browser,
        pipes[1].open("rb") as from_browser,
    ):
        watchdog = threading.Timer(GIVE_UP_S, process.kill)  # a browser that hangs ends the test, not the day
        watchdog.start()
        try:
            page = Page(to_browser, from_browser)
            yield page
            page.call("Browser.close")
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
