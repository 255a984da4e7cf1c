"""Chromium without a window, driven through its own pipe: no further package is needed.

The protocol is the DevTools protocol, one JSON message ended by a NUL, on the
descriptors 3 and 4 (``--remote-debugging-pipe``).
"""

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hardpan.process import which

_ANSWER_S = 60.0


class Browser:
    """One page."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._rest = b""
        self._next = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command; its result."""
        self._next += 1
        asked: dict[str, object] = {"id": self._next, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        ends = time.monotonic() + _ANSWER_S
        while True:
            told = self._message(ends)
            if told.get("id") == self._next:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def script(self, text: str) -> Any:
        """The value of an expression; a promise is waited for."""
        told = self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, text: str, *, timeout_s: float = 40) -> None:
        """Wait until an expression is true."""
        ends = time.monotonic() + timeout_s
        while not self.script(f"Boolean({text})"):
            assert time.monotonic() < ends, f"never true: {text}; {self.script(_SEEN)}"
            time.sleep(0.1)

    def go(self, url: str) -> None:
        """Open an address and wait for the page."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def type(self, selector: str, text: str) -> None:
        """Type into a field, as a keyboard would."""
        self.script(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press Enter, Tab or Escape."""
        code = {"Enter": 13, "Tab": 9, "Escape": 27}[key]
        told: Mapping[str, object] = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "modifiers": 8 if shift else 0,
        }
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files, as the dialogue of a file field would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    def size(self, width: int, height: int) -> None:
        """Make the window as large as this, in CSS pixels."""
        told = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **told)

    def picture(self, path: Path) -> None:
        """A picture of what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it prints."""
        told = self.call("Page.printToPDF", preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(told["data"]))

    def asked_for(self) -> set[str]:
        """Every address that was asked for, as scheme and host."""
        urls = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        return {"/".join(u.split("/")[:3]) for u in urls if not u.startswith("data:")}

    def complaints(self) -> list[str]:
        """What the browser found wrong: errors of scripts, of policies, of the network."""
        self.script("0")
        wrong = [
            e["params"]["entry"]["text"]
            for e in self.events
            if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]
        thrown = [e for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return wrong + [str(e["params"]["exceptionDetails"]) for e in thrown]

    def _message(self, ends: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(0.0, ends - time.monotonic()))
            assert ready, "Chromium does not answer"
            data = os.read(self._back, 1 << 20)
            assert data, "Chromium ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        return told


_SEEN = "document.body.innerText.slice(0, 2000)"


@contextlib.contextmanager
def browser(
    folder: Path,
    *,
    host: str = "none.invalid",
    address: str = "127.0.0.1",
    key_digest: str = "",
    dark: bool = False,
) -> Iterator[Browser]:
    """A fresh Chromium that finds ``host`` at ``address`` and trusts one public key there.

    Without them it finds no host at all: for pages that are files.
    """
    chromium = which("chromium") or which("chromium-browser")
    assert chromium is not None, "chromium is not installed"
    ours, theirs = os.pipe(), os.pipe()
    argv = [str(chromium), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    argv += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--disable-dev-shm-usage"]
    argv += ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]
    argv += [f"--host-resolver-rules=MAP {host} {address}, MAP * ~NOTFOUND, EXCLUDE {address}"]
    argv += [f"--ignore-certificate-errors-spki-list={key_digest}", "--window-size=1280,860"]
    argv += ["--blink-settings=preferredColorScheme=" + ("0" if dark else "1")]
    run = f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@"'
    with (folder.parent / "chromium.log").open("wb") as log:
        started = subprocess.Popen(
            ["/bin/bash", "-c", run, "chromium", *argv],
            pass_fds=(ours[0], theirs[1]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        yield Browser(ours[1], theirs[0])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(timeout=20)
        os.close(ours[1])
        os.close(theirs[0])
