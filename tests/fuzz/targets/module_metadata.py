"""Damaged module metadata (modules.yaml): refused, or read as texts within their limits."""

from pathlib import Path

from hardpan.builder.dnf.modules import merge_modules, parse_modules
from tests.fuzz.target import FuzzTarget, mutate_samples

SAMPLE = b"""\
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: 20
  profiles:
    common:
      rpms:
      - nodejs
      - npm
  artifacts:
    rpms:
    - nodejs-1:20.11.0-1.module+el9.x86_64
...
---
document: modulemd-defaults
version: 1
data:
  module: nodejs
  stream: "18"
  profiles:
    18: [common]
...
"""
_PIECES = (
    *(bytes([c]) for c in b":-[]{}&*!|>'\"%@`,#?\n \t\0\x1b\xff"),
    *(b"&a ", b"*a ", b"<<: ", b"!!python/object:os.system ", b"--- ", b"...\n", b"? ", b"%YAML 9"),
    *(b"document: modulemd\n", b"data:\n", b"  stream: 1.10\n", b"[" * 300, b"{a: " * 300),
)


def target(folder: Path) -> FuzzTarget:
    """Documents with damaged bytes; a stream name stays the text that it was written as."""

    def check(data: bytes) -> str:
        modules = parse_modules([data], "modules.yaml")
        for stream in modules.streams:
            texts = [stream.module, stream.stream, *stream.artifacts, *stream.profiles]
            texts += [name for names in stream.profiles.values() for name in names]
            assert all(isinstance(text, str) for text in texts)
        merged = merge_modules([modules, modules])
        assert len(merged.streams) == 2 * len(modules.streams)
        assert merged.defaults == modules.defaults
        return "accepted" if modules.streams else "accepted as empty"

    return FuzzTarget(
        name="module_metadata",
        inputs=mutate_samples([SAMPLE], _PIECES) | mutate_samples([SAMPLE]),
        check=check,
    )
