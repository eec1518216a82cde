"""A real Chromium, spoken to in the DevTools protocol over two pipes: no port, no driver, no dependency.

What a page asks for, says and throws is heard from before its first byte on. Its fonts are DejaVu and nothing else, so
that a screenshot shows the page and not the machine; without a Chromium or those fonts the tests skip, with the reason.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["CHROMIUM", "FONTS", "WITHOUT", "Chromium", "Page", "Screen"]

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FONTS: Final = Path("/usr/share/fonts/truetype/dejavu")
WITHOUT: Final = (
    "no Chromium is installed: apt-get install chromium"
    if CHROMIUM is None
    else ""
    if FONTS.joinpath("DejaVuSans.ttf").exists()
    else f"no font of {FONTS} is installed: apt-get install fonts-dejavu-core"
)
"""Why there is no browser to test with; empty where there is one."""

_DEADLINE: Final = 60.0
"""Seconds; only a browser that hangs needs as many."""
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--mute-audio"),
    *("--disable-dev-shm-usage", "--no-zygote", "--hide-scrollbars", "--disable-lcd-text"),
    *("--font-render-hinting=none", "--force-color-profile=srgb", "--remote-debugging-pipe", "about:blank"),
)
_FONTCONFIG: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <selectfont>
    <rejectfont><glob>*</glob></rejectfont>
    <acceptfont><glob>*/DejaVuSans.ttf</glob></acceptfont>
    <acceptfont><glob>*/DejaVuSans-Bold.ttf</glob></acceptfont>
    <acceptfont><glob>*/DejaVuSansMono.ttf</glob></acceptfont>
    <acceptfont><glob>*/DejaVuSansMono-Bold.ttf</glob></acceptfont>
  </selectfont>
  <cachedir>{cache}</cachedir>
  <alias binding="same"><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is shown on."""

    width: int = 1100
    """CSS pixels; so is the height."""
    height: int = 800
    dark: bool = False
    media: str = "screen"
    """Or `print`."""
    forced_colours: bool = False
    """Whether the system's own colours are forced upon pages, as people with weak eyes do."""


@dataclass(slots=True)
class Page:
    """One page in a browser, from its first byte on."""

    browser: Chromium
    session: str
    url: str
    requests: list[str] = field(default_factory=list)
    """Every address that was asked for, the page's own first."""
    complaints: list[str] = field(default_factory=list)
    """Every console message, every uncaught error, everything that the browser itself reported."""
    loads: int = 0
    """How often a document was loaded to its end."""

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Take note of an event of the page."""
        match method:
            case "Page.loadEventFired":
                self.loads += 1
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.consoleAPICalled":
                said = " ".join(str(one.get("value", one.get("description", ""))) for one in params["args"])
                self.complaints.append(f"console.{params['type']}: {said}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"uncaught: {json.dumps(params['exceptionDetails'])}")
            case "Log.entryAdded":
                self.complaints.append(f"{params['entry']['level']}: {params['entry']['text']}")

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - what the protocol answers with
        """Carry out a command of the protocol in this page."""
        return self.browser.call(method, self.session, **params)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the value of a JavaScript expression, of what it promises if it promises something."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"], indent=1)[:2000])
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key: its name and its virtual key code, and what it types."""
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def show(self, screen: Screen) -> None:
        """Put the page onto a screen, and wait until it is painted there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = {
            "prefers-color-scheme": "dark" if screen.dark else "light",
            "prefers-reduced-motion": "reduce",
            "forced-colors": "active" if screen.forced_colours else "none",
        }
        self.call(
            "Emulation.setEmulatedMedia",
            media=screen.media,
            features=[{"name": name, "value": value} for name, value in features.items()],
        )
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")

    def screenshot(self, *, tallest: int = 4000) -> bytes:
        """Return the page as PNG, from its top down to its end or to `tallest` CSS pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], tallest), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def go(self, method: str, **params: object) -> None:
        """Carry out a command that loads a document, and wait until it is loaded."""
        before = self.loads
        self.call(method, **params)
        while self.loads == before:
            self.browser.listen()

    def close(self) -> None:
        """Close the page."""
        self.browser.close_page(self)


class Chromium:
    """A browser with a profile of its own; ends with the block that it is used in."""

    def __init__(self, profile: Path) -> None:
        """Start it; whatever it keeps is kept below `profile`."""
        assert CHROMIUM is not None, WITHOUT
        profile.mkdir(parents=True, exist_ok=True)
        fonts = profile / "fonts.conf"
        fonts.write_text(_FONTCONFIG.format(fonts=FONTS, cache=profile / "fontconfig"), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(profile),
            "FONTCONFIG_FILE": str(fonts),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # A descriptor above those that are given away is not overwritten before it is copied.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, answers)]
        said = os.open(profile / "stderr", os.O_WRONLY | os.O_CREAT, 0o600)
        self._process = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *_FLAGS[:-1], f"--user-data-dir={profile / 'data'}", _FLAGS[-1]],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, said, 1),
                (os.POSIX_SPAWN_DUP2, said, 2),
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
            ],
            setpgroup=0,
        )
        for end in (commands, answers, said, *ends):
            os.close(end)
        self._number = 0
        self._rest = b""
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Its name and release: `Chrome/156.0.8078.108`."""
        return str(self.call("Browser.getVersion")["product"])

    def open(self, path: Path, screen: Screen | None = None) -> Page:
        """Open a file as a page on a screen and wait until it is loaded and painted."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, path.as_uri())
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        shown = screen or Screen()
        page.show(shown)
        page.go("Page.navigate", url=page.url)
        while page.evaluate("document.URL + document.readyState") != f"{page.url}complete":
            self.listen()  # what was loaded first was the empty page that it began as
        page.show(shown)
        return page

    def close_page(self, page: Page) -> None:
        """Close a page; what it says from now on is not heard."""
        self._pages.pop(page.session)
        target = self.call("Target.getTargetInfo", page.session)["targetInfo"]["targetId"]
        self.call("Target.closeTarget", targetId=target)

    def call(self, method: str, session: str = "", **params: object) -> Any:  # noqa: ANN401 - as of Page.call
        """Carry out a command of the protocol and return its answer; what happens meanwhile is told to the pages."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (heard := self.listen()).get("id") != self._number:
            pass
        assert "error" not in heard, f"{method}: {heard['error']}"
        return heard["result"]

    def listen(self) -> dict[str, Any]:
        """Wait for the browser to say something, tell the page that it is about, and return it."""
        heard = self._next()
        if "method" in heard and (page := self._pages.get(heard.get("sessionId", ""))):
            page.hear(heard["method"], heard["params"])
        return heard

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _DEADLINE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"Chromium said nothing for {_DEADLINE} s"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(message)
        return heard

    def close(self) -> None:
        """End the browser and every process that it started."""
        with suppress(AssertionError, OSError):
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
