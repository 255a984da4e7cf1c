"""Entry point of the process that parses one ARF; ``process`` starts it.

Standard input is the ARF, standard output the result as JSON. The process limits its own resources
before it reads a byte: an ARF that needs more memory or processor time than any real one ends this
process and no other. It imports only hardpan and Python's standard library.
"""

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import fields

from hardpan.core.errors import ToolError
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult, parse_arf

_CHUNK = 1 << 18
_MAX_FILES = 64
_RESERVE = 16 << 20


def main(name: str, memory_mib: str, cpu_s: str) -> int:
    """Parse the ARF ``name`` from stdin and write the result, or why it cannot be parsed."""
    limit_resources(int(memory_mib), int(cpu_s))
    try:
        reply: dict[str, object] = {"arf": parse_arf(_chunks(), name=name)}
    except ToolError as e:
        reply = {"refused": str(e).removeprefix(f"{e.argv[0]} ")}
    except MemoryError:
        _use_reserve()
        reply = {"refused": f"takes more than {memory_mib} MiB of memory to read"}
    sys.stdout.write(json.dumps(reply, default=_to_dict))
    return 0


def _to_dict(value: Arf | ArfRuleResult) -> dict[str, object]:
    """Return the fields of a result. ``asdict`` also copies each text, one by one."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def limit_resources(memory_mib: int, cpu_s: int) -> None:
    """Limit memory and processor time of this process; forbid writing files and core dumps."""
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
    """Allow the memory that is needed to report that memory is exhausted."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _chunks() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(_CHUNK):
        yield chunk
