"""Parse an ARF in a process with limits on memory and time.

The reply is as untrusted as the ARF: a compromised process can write anything.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.process import pipe_through
from hardpan.core.resources import resource_path
from hardpan.scanners.openscap.arf.attachment import compress_while
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf

# -I: nothing of the user's environment or of the working folder is imported. -S: nor is anything
# that is installed; hardpan's own location is appended to the path of the standard library.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from hardpan.scanners.openscap.arf.worker import main; sys.exit(main(*sys.argv[1:]))"
)
_ROOT = resource_path("hardpan").parent
_MAX_REPLY_BYTES = 64 << 20
_MAX_REASON_CHARS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ArfLimits:
    """Resource limits for parsing one ARF."""

    memory_mib: int = 512
    """Address space of the parsing process."""

    time_s: float = 55.0
    """Wall-clock seconds, and processor seconds of the process."""


LIMITS = ArfLimits()
"""More than four times what an ARF of 38 MB needs."""


def read_arf(
    chunks: Iterable[bytes], *, name: str, limits: ArfLimits = LIMITS
) -> tuple[Arf | UnreadableArf, CompressedBlob | None]:
    """Parse an ARF and compress it as an attachment; without a verdict, no attachment either.

    Raises:
        ResourceError: this machine cannot start the process.
    """
    argv = [sys.executable, "-I", "-S", "-c", _START, str(_ROOT), name]
    argv += [str(limits.memory_mib), str(max(1, int(limits.time_s)))]

    def parse_in_process(stream: Iterator[bytes]) -> Arf:
        is_complete = False

        def watch_end() -> Iterator[bytes]:
            nonlocal is_complete
            yield from stream
            is_complete = True

        reply = pipe_through(
            argv, watch_end(), timeout_s=limits.time_s, max_output_bytes=_MAX_REPLY_BYTES
        )
        # pydantic takes a third of the time of the process: its import is not waited for above.
        from hardpan.scanners.openscap.arf.reply import parse_reply

        arf = parse_reply(reply, name)
        if not is_complete:
            raise ToolError([f"the ARF {name}"], "was not read completely")
        return arf

    try:
        return compress_while(parse_in_process, chunks)
    except ResourceError:
        raise
    except ToolError as e:
        reason = str(e).removeprefix(f"{sys.executable} ")
        if reason != str(e):
            limits_text = f"{limits.time_s:g} s and {limits.memory_mib} MiB"
            reason = f"the ARF {name} cannot be read within {limits_text}: its process {reason}"
        return UnreadableArf(reason=_to_printable(reason)), None


def _to_printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:_MAX_REASON_CHARS]
