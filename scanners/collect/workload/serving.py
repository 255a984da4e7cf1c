"""The chat test that runs on the target: what a client of its inference server sees.

Needs Python 3.9, nothing else. Speaks the OpenAI API through the target's own TLS proxy
on the loopback, holds the proxy to the certificate in a file, and asks without a key,
with a wrong one and with the right one. Prints one JSON object; what its figures are
worth is judged by who asked. The key is read here and never printed.
"""

import argparse
import hashlib
import http.client
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Iterator  # noqa: UP035 - runs on EL9's Python 3.9

PROMPTS = (
    "Name the control that was checked first.",
    "What does an auditor ask for after a scan?",
    "Say in one sentence why a mirror is pinned.",
)
STARTING = (502, 503)
LINE_MOST = 1 << 16
LINES_MOST = 20_000


class Client:
    """One address, one certificate, one key."""

    def __init__(self, host: str, port: int, cafile: str, key: str, timeout_s: float) -> None:
        self._at = (host, port)
        self._tls = ssl.create_default_context(cafile=cafile)
        self._key = key
        self._timeout_s = timeout_s

    def ready(self) -> None:
        """Wait while the server behind the proxy still starts, as long as one answer may take."""
        until = time.monotonic() + self._timeout_s
        while self.status("GET", "/v1/models", self._key) in STARTING:
            if time.monotonic() > until:
                return
            time.sleep(1)

    def status(self, method: str, path: str, key: str = "", body: object = None) -> int:
        """The status of one request; its answer is thrown away."""
        connection, answer = self._send(method, path, key, body)
        try:
            answer.read(LINE_MOST)
            return answer.status
        finally:
            connection.close()

    def chat(self, model: str, prompt: str, tokens: int) -> "dict[str, object]":
        """One streamed completion: when each piece of text came, and what it was."""
        asked = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "seed": 20261121,
            "stream": True,
        }
        began = time.monotonic()
        connection, answer = self._send("POST", "/v1/chat/completions", self._key, asked)
        pieces, at = [], []
        try:
            if answer.status != http.client.OK:
                return {"status": answer.status, "at_s": [], "text": "", "took_s": 0.0}
            for piece in _pieces(answer):
                pieces.append(piece)
                at.append(time.monotonic() - began)
        finally:
            connection.close()
        return {
            "status": answer.status,
            "at_s": at,
            "text": hashlib.sha256("".join(pieces).encode()).hexdigest(),
            "took_s": time.monotonic() - began,
        }

    def _send(
        self, method: str, path: str, key: str, body: object
    ) -> "tuple[http.client.HTTPSConnection, http.client.HTTPResponse]":
        host, port = self._at
        connection = http.client.HTTPSConnection(
            host, port, context=self._tls, timeout=self._timeout_s
        )
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body)
        connection.request(method, path, body=data, headers=headers)
        return connection, connection.getresponse()


def _pieces(answer: http.client.HTTPResponse) -> Iterator[str]:
    """The texts of a stream of server-sent events (WHATWG HTML, section 9.2)."""
    for _ in range(LINES_MOST):
        line = answer.readline(LINE_MOST)
        if not line or line.strip() == b"data: [DONE]":
            return
        if not line.startswith(b"data:"):
            continue
        told = json.loads(line[5:])
        for choice in told.get("choices", ()):
            piece = (choice.get("delta") or {}).get("content")
            if piece:  # the first events carry a role and no text
                yield piece
    raise ValueError("the answer does not end")


def digest(path: Path) -> str:
    """SHA-256 of a file of any size."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def main() -> None:
    """Ask, and print what came back."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--host", required=True)
    asked.add_argument("--port", type=int, required=True)
    asked.add_argument("--cafile", required=True)
    asked.add_argument("--key-file", type=Path, required=True)
    asked.add_argument("--model", required=True)
    asked.add_argument("--model-file", type=Path, required=True)
    asked.add_argument("--tokens", type=int, required=True)
    asked.add_argument("--timeout-s", type=float, required=True)
    given = asked.parse_args()
    key = given.key_file.read_text().strip()
    client = Client(given.host, given.port, given.cafile, key, given.timeout_s)
    client.ready()
    client.chat(given.model, PROMPTS[0], given.tokens)  # warming up
    answers = [client.chat(given.model, p, given.tokens) for p in (*PROMPTS, *PROMPTS)]
    told = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "openssl": ssl.OPENSSL_VERSION,
        "model_sha256": digest(given.model_file),
        "anonymous": client.status("GET", "/v1/models"),
        "wrong_key": client.status("GET", "/v1/models", "x" * 43),
        "with_key": client.status("GET", "/v1/models", key),
        "answers": answers,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
