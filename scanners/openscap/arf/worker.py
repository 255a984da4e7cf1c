"""Reads one ARF in a process of its own; ``arf_process`` starts it.

Standard input is the ARF, standard output what it says, as JSON. The process limits itself before
it reads a byte: an ARF that takes more memory or processor time than any real one ends this process
and no other. It imports nothing but hardpan and Python's own library.
"""

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict

from hardpan.core.errors import ToolError
from hardpan.scanners.openscap.arf.results import parse_arf

_CHUNK = 1 << 18
_MAX_FILES = 64
_RESERVE = 16 << 20


def main(name: str, memory_mib: str, cpu_s: str) -> int:
    """Read the ARF ``name`` from stdin and write what it says, or why it cannot be read."""
    limit_resources(int(memory_mib), int(cpu_s))
    try:
        reply: dict[str, object] = {"arf": asdict(parse_arf(_chunks(), name=name))}
    except ToolError as e:
        reply = {"refused": str(e).removeprefix(f"{e.argv[0]} ")}
    except MemoryError:
        _use_reserve()
        reply = {"refused": f"takes more than {memory_mib} MiB of memory to read"}
    sys.stdout.write(json.dumps(reply))
    return 0


def limit_resources(memory_mib: int, cpu_s: int) -> None:
    """Let this process have no more memory and processor time, write no file and dump no core."""
    memory = memory_mib << 20
    for resource_id, soft, hard in (
        (resource.RLIMIT_AS, memory, memory + _RESERVE),
        (resource.RLIMIT_CPU, cpu_s, cpu_s),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _MAX_FILES, _MAX_FILES),
    ):
        _, allowed = resource.getrlimit(resource_id)
        hard_limit = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
        resource.setrlimit(resource_id, (min(soft, hard_limit), hard_limit))


def _use_reserve() -> None:
    """Allow what it takes to say that the memory is used up."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _chunks() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(_CHUNK):
        yield chunk
