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

from hardpan.core.process import find_program

_REPLY_TIMEOUT_S = 60.0


class Browser:
    """One page."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self._write_fd, self._read_fd = write_fd, read_fd
        self._buffer = b""
        self._last_id = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command; its result."""
        self._last_id += 1
        request: dict[str, object] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._write_fd, json.dumps(request).encode() + b"\0")
        deadline_s = time.monotonic() + _REPLY_TIMEOUT_S
        while True:
            message = self._read_message(deadline_s)
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def evaluate(self, text: str) -> Any:
        """The value of an expression; a promise is waited for."""
        result = self.call(
            "Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_until(self, text: str, *, timeout_s: float = 40) -> None:
        """Wait until an expression is true."""
        deadline_s = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({text})"):
            assert time.monotonic() < deadline_s, (
                f"never true: {text}; {self.evaluate(_VISIBLE_TEXT)}"
            )
            time.sleep(0.1)

    def open_url(self, url: str) -> None:
        """Open an address and wait for the page."""
        self.call("Page.navigate", url=url)
        self.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def type_text(self, selector: str, text: str) -> None:
        """Type into a field, as a keyboard would."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press Enter, Tab or Escape."""
        code = {"Enter": 13, "Tab": 9, "Escape": 27}[key]
        parameters: Mapping[str, object] = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "modifiers": 8 if shift else 0,
        }
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files, as the dialogue of a file field would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    def resize(self, width: int, height: int) -> None:
        """Make the window as large as this, in CSS pixels."""
        parameters = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **parameters)

    def take_screenshot(self, path: Path) -> None:
        """A picture of what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def print_to_pdf(self, path: Path) -> None:
        """The page as it prints."""
        result = self.call("Page.printToPDF", preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(result["data"]))

    def requested_origins(self) -> set[str]:
        """Return scheme and host of every request."""
        urls = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        return {"/".join(u.split("/")[:3]) for u in urls if not u.startswith("data:")}

    def list_errors(self) -> list[str]:
        """What the browser found wrong: errors of scripts, of policies, of the network."""
        self.evaluate("0")
        log_errors = [
            e["params"]["entry"]["text"]
            for e in self.events
            if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]
        exceptions = [e for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return log_errors + [str(e["params"]["exceptionDetails"]) for e in exceptions]

    def _read_message(self, deadline_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select(
                [self._read_fd], [], [], max(0.0, deadline_s - time.monotonic())
            )
            assert ready, "Chromium does not answer"
            data = os.read(self._read_fd, 1 << 20)
            assert data, "Chromium ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


_VISIBLE_TEXT = "document.body.innerText.slice(0, 2000)"


@contextlib.contextmanager
def start_browser(
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
    chromium = find_program("chromium") or find_program("chromium-browser")
    assert chromium is not None, "chromium is not installed"
    parent_pipe, child_pipe = os.pipe(), os.pipe()
    argv = [str(chromium), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    argv += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--disable-dev-shm-usage"]
    argv += ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]
    argv += [f"--host-resolver-rules=MAP {host} {address}, MAP * ~NOTFOUND, EXCLUDE {address}"]
    argv += [f"--ignore-certificate-errors-spki-list={key_digest}", "--window-size=1280,860"]
    argv += ["--blink-settings=preferredColorScheme=" + ("0" if dark else "1")]
    run = f'exec 3<&{parent_pipe[0]} 4>&{child_pipe[1]}; exec "$@"'
    with (folder.parent / "chromium.log").open("wb") as log:
        started = subprocess.Popen(
            ["/bin/bash", "-c", run, "chromium", *argv],
            pass_fds=(parent_pipe[0], child_pipe[1]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    os.close(parent_pipe[0])
    os.close(child_pipe[1])
    try:
        yield Browser(parent_pipe[1], child_pipe[0])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(timeout=20)
        os.close(parent_pipe[1])
        os.close(child_pipe[0])
