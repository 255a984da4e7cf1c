"""The chat test that runs on the target, as a client of its inference server.

Needs Python 3.9, nothing else. Uses the OpenAI API through the target's own TLS proxy on the
loopback, verifies the proxy's certificate against a file, and sends requests without a key, with
an invalid one and with the valid one. Prints one JSON object, which the scanner evaluates. The key
is read here and never printed.
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
STARTING_STATUSES = (502, 503)
MAX_LINE_BYTES = 1 << 16
MAX_LINES = 20_000


class ChatClient:
    """A client with one address, one certificate, one key."""

    def __init__(self, host: str, port: int, cafile: str, key: str, timeout_s: float) -> None:
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=cafile)
        self._key = key
        self._timeout_s = timeout_s

    def wait_until_ready(self) -> None:
        """Wait while the server behind the proxy starts, up to the time limit of one answer."""
        deadline = time.monotonic() + self._timeout_s
        while self.status("GET", "/v1/models", self._key) in STARTING_STATUSES:
            if time.monotonic() > deadline:
                return
            time.sleep(1)

    def status(self, method: str, path: str, key: str = "", body: object = None) -> int:
        """Return the status of one request; its answer is discarded."""
        connection, response = self._send(method, path, key, body)
        try:
            response.read(MAX_LINE_BYTES)
            return response.status
        finally:
            connection.close()

    def chat(self, model: str, prompt: str, tokens: int) -> "dict[str, object]":
        """Request one streamed completion; return its text's digest and the times of its chunks."""
        request = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "seed": 20261121,
            "stream": True,
        }
        start = time.monotonic()
        connection, response = self._send("POST", "/v1/chat/completions", self._key, request)
        chunks, chunk_times_s = [], []
        try:
            if response.status != http.client.OK:
                return {
                    "status": response.status,
                    "chunk_times_s": [],
                    "text": "",
                    "duration_s": 0.0,
                }
            for chunk in _iter_chunks(response):
                chunks.append(chunk)
                chunk_times_s.append(time.monotonic() - start)
        finally:
            connection.close()
        return {
            "status": response.status,
            "chunk_times_s": chunk_times_s,
            "text": hashlib.sha256("".join(chunks).encode()).hexdigest(),
            "duration_s": time.monotonic() - start,
        }

    def _send(
        self, method: str, path: str, key: str, body: object
    ) -> "tuple[http.client.HTTPSConnection, http.client.HTTPResponse]":
        host, port = self._address
        connection = http.client.HTTPSConnection(
            host, port, context=self._tls, timeout=self._timeout_s
        )
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body)
        connection.request(method, path, body=data, headers=headers)
        return connection, connection.getresponse()


def _iter_chunks(response: http.client.HTTPResponse) -> Iterator[str]:
    """Yield the texts of a stream of server-sent events (WHATWG HTML, section 9.2)."""
    for _ in range(MAX_LINES):
        line = response.readline(MAX_LINE_BYTES)
        if not line or line.strip() == b"data: [DONE]":
            return
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line[5:])
        for choice in event.get("choices", ()):
            chunk = (choice.get("delta") or {}).get("content")
            if chunk:  # the first events carry a role and no text
                yield chunk
    raise ValueError("the answer does not end")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def main() -> None:
    """Run the chat test and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cafile", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--model-file", type=Path, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--timeout-s", type=float, required=True)
    options = parser.parse_args()
    key = options.key_file.read_text().strip()
    client = ChatClient(options.host, options.port, options.cafile, key, options.timeout_s)
    client.wait_until_ready()
    client.chat(options.model, PROMPTS[0], options.tokens)  # warming up
    answers = [client.chat(options.model, p, options.tokens) for p in (*PROMPTS, *PROMPTS)]
    result = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "openssl": ssl.OPENSSL_VERSION,
        "model_sha256": hash_file(options.model_file),
        "anonymous": client.status("GET", "/v1/models"),
        "invalid_key": client.status("GET", "/v1/models", "x" * 43),
        "valid_key": client.status("GET", "/v1/models", key),
        "answers": answers,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
