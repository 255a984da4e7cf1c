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
STARTING_STATUSES = (502, 503)
MAX_LINE_BYTES = 1 << 16
MAX_LINES = 20_000


class ChatClient:
    """One address, one certificate, one key."""

    def __init__(self, host: str, port: int, cafile: str, key: str, timeout_s: float) -> None:
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=cafile)
        self._key = key
        self._timeout_s = timeout_s

    def wait_until_ready(self) -> None:
        """Wait while the server behind the proxy still starts, as long as one answer may take."""
        deadline = time.monotonic() + self._timeout_s
        while self.status("GET", "/v1/models", self._key) in STARTING_STATUSES:
            if time.monotonic() > deadline:
                return
            time.sleep(1)

    def status(self, method: str, path: str, key: str = "", body: object = None) -> int:
        """The status of one request; its answer is thrown away."""
        connection, response = self._send(method, path, key, body)
        try:
            response.read(MAX_LINE_BYTES)
            return response.status
        finally:
            connection.close()

    def chat(self, model: str, prompt: str, tokens: int) -> "dict[str, object]":
        """One streamed completion: when each piece of text came, and what it was."""
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
                return {"status": response.status, "at_s": [], "text": "", "took_s": 0.0}
            for chunk in _iter_chunks(response):
                chunks.append(chunk)
                chunk_times_s.append(time.monotonic() - start)
        finally:
            connection.close()
        return {
            "status": response.status,
            "at_s": chunk_times_s,
            "text": hashlib.sha256("".join(chunks).encode()).hexdigest(),
            "took_s": time.monotonic() - start,
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
    """The texts of a stream of server-sent events (WHATWG HTML, section 9.2)."""
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
    """SHA-256 of a file of any size."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def main() -> None:
    """Ask, and print what came back."""
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
        "wrong_key": client.status("GET", "/v1/models", "x" * 43),
        "with_key": client.status("GET", "/v1/models", key),
        "answers": answers,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
