"""OpenSCAP on the target: one round trip, several processes, no remaining files.

One script reads the data streams from its stdin, evaluates each in a separate oscap process,
reports each rule's result on stderr immediately, and sends the ARFs on stdout. It works in a
folder with mode 0700, which it removes; when the connection breaks its stdin ends, and the script
kills all its processes.
"""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hardpan.core.clock import Deadline
from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.redaction import SecretFilter, cut_password_hashes
from hardpan.scanners.collect.base import (
    MAX_REASON_CHARS,
    CollectedEvidence,
    Collector,
    CollectTask,
    build_failed_check,
)
from hardpan.scanners.content.prepare import PreparedContent, StreamPart
from hardpan.scanners.openscap.arf.process import LIMITS, ArfLimits, read_arf
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.exit_status import find_failure
from hardpan.ssh.connection import Connection

STAGE = "openscap"
_PROGRESS_LINE = re.compile(r"(?P<rule>xccdf_[A-Za-z0-9_.-]{1,240}):(?P<verdict>[a-z]{4,20})")
_ENGINE = re.compile(r"hardpan-engine (?P<text>.{1,300})")
_MiB = 1 << 20
_MAX_ARCHIVE_BYTES = 64 * _MiB
_CHUNK = 1 << 18
_BLOCK = tarfile.BLOCKSIZE

_HINTS = {
    41: "install openscap-scanner on the target, or scan an image that has it",
    42: "free some space in /var/lib, /root or /run on the target",
    43: "the upload was cut short or changed in transit",
}

# The folders: /tmp and /var/tmp are noexec on a hardened host, and oscap runs scripts.
# Rules of one part run one after another, so each part needs only one process.
_SCRIPT = r"""
set -u
umask 077
command -v oscap >/dev/null || { echo "oscap is not installed" >&2; exit 41; }
work=
for base in /var/lib /root /run /opt; do
  opts=$(findmnt -nT "$base" -o OPTIONS 2>/dev/null || echo unknown)
  case ",$opts," in *,noexec,*|*,ro,*) continue;; esac
  free=$(df -Pk "$base" 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d' ' -f4)
  [ "${free:-0}" -gt 204800 ] || continue
  work=$(mktemp -d "$base/hardpan-scan.XXXXXXXX") && break
done
[ -n "$work" ] || { echo "no folder to work in" >&2; exit 42; }
watcher=
clean() {
  # Ignored, not reset: 'timeout' signals this shell and then the group it is in.
  trap - EXIT
  trap '' TERM INT HUP
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  for p in $(jobs -p); do pkill -KILL -P "$p" 2>/dev/null; kill -KILL "$p" 2>/dev/null; done
  rm -rf "$work"
}
trap clean EXIT
trap 'clean; exit 143' TERM INT HUP
cd "$work" || exit 42
head -c @SIZE@ > in.tgz
tar -xzf in.tgz && sha256sum -c --quiet --strict sums >&2 || exit 43
rm -f in.tgz
exec 3<&0
main=$$
( cat <&3 >/dev/null; kill -TERM "$main" ) >/dev/null 2>&1 &
watcher=$!
exec 0</dev/null
# oscap writes script checks to /tmp, noexec on a hardened host, and runs them through this
# helper. EL's openscap-scanner does not bring it, and oscap says only "error".
command -v oscap-run-sce-script >/dev/null || {
  mkdir bin
  printf '#!/bin/sh\nexec bash "$1"\n' > bin/oscap-run-sce-script
  chmod 700 bin/oscap-run-sce-script
  PATH="$work/bin:$PATH"
}
version=$(oscap --version | head -n 1)
sce=$(oscap --version | grep -c 'SCE Version')
package=$(rpm -q openscap-scanner 2>/dev/null | head -n 1)
echo "hardpan-engine $version; SCE plugin: $sce; package: ${package:-unknown}" >&2
pids=
for n in @PARTS@; do
  mkdir "t$n"
  ( TMPDIR="$work/t$n" OSCAP_PROBE_MEMORY_USAGE_RATIO=@RATIO@ nice -n 5 oscap xccdf eval \
      --progress --skip-validation --profile @PROFILE@ --results-arf "arf$n.xml" "part$n.xml" \
      3<&- >&2 2>"err$n"
    rc=$?
    tail -n 8 "err$n" > "tail$n"
    mv "tail$n" "err$n"
    echo "$rc" > "rc$n"
    gzip -1 "arf$n.xml" 2>/dev/null ) 3<&- &
  pids="$pids $!"
done
wait $pids
tar --format=ustar -cf - $(ls rc* err* arf*.xml.gz 2>/dev/null)
"""


class OpenScap(Collector):
    """Evaluates the content's parts on the target."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect the ARFs, compressed and parsed; an unreadable one does not affect the others.

        Raises:
            ToolError: oscap is missing there, or the script failed.
        """
        if task.prepared is None:
            raise ValueError("openscap needs content")
        upload = pack_parts(task.prepared.parts)
        listener = _ProgressListener(sum(len(p.rule_ids) for p in task.prepared.parts), emit)
        emit(StageMessage(stage=STAGE, text=f"uploading {len(upload) >> 10} KiB of content"))
        output = connection.run(
            _render_script(task.prepared, len(upload)),
            timeout_s=timeout_s,
            ok=None,
            stdin=upload,
            sudo=True,
            max_bytes=_MAX_ARCHIVE_BYTES,
            on_line=listener,
            kill_on_disconnect=True,
            is_archive=True,
        )
        _raise_on_failure(output.exit_status, output.stderr, connection, timeout_s)
        arf_by_name = read_results(output.data, len(task.prepared.parts), output.secrets)
        return CollectedEvidence(
            files={
                name: compressed
                for name, (_, compressed) in arf_by_name.items()
                if compressed is not None
            },
            arfs=tuple(arf for arf, _ in arf_by_name.values()),
            engine=listener.engine,
            checks=tuple(
                build_failed_check(name, ToolError([f"the ARF {name}:"], arf.reason))
                for name, (arf, _) in arf_by_name.items()
                if isinstance(arf, UnreadableArf)
            ),
        )


class _ProgressListener:
    """Turns the lines of oscap's progress into events."""

    def __init__(self, total: int, emit: Emit) -> None:
        self._total = total
        self._emit = emit
        self._reported_rules: set[str] = set()
        self.engine = ""

    def __call__(self, line: str) -> None:
        """Handle one line."""
        engine = _ENGINE.fullmatch(line)
        if engine and not self.engine:
            self.engine = engine["text"]
            self._emit(StageMessage(stage=STAGE, text=self.engine))
        progress = _PROGRESS_LINE.fullmatch(line)
        if (
            progress
            and progress["rule"] not in self._reported_rules
            and len(self._reported_rules) < self._total
        ):
            self._reported_rules.add(progress["rule"])
            name = progress["rule"].rpartition("_rule_")[2]
            text = f"{name}: {progress['verdict']}"
            done_count = len(self._reported_rules)
            self._emit(
                StageProgress(stage=STAGE, completed=done_count, total=self._total, text=text)
            )


def pack_parts(parts: tuple[StreamPart, ...]) -> bytes:
    """Pack the parts with their digests as a tar.gz; the same parts give the same bytes."""
    files = {f"part{n}.xml": p.data for n, p in enumerate(parts)}
    sums = "".join(f"{p.sha256}  part{n}.xml\n" for n, p in enumerate(parts))
    files["sums"] = sums.encode("ascii")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), 6, mtime=0)


def read_results(
    data: bytes, part_count: int, secrets: SecretFilter, *, limits: ArfLimits = LIMITS
) -> dict[str, tuple[Arf | UnreadableArf, CompressedBlob | None]]:
    """Read the ARFs that the target sent, in order of the parts, with secrets redacted.

    The parts share the time that ``limits`` has for one.
    """
    deadline = Deadline(limits.time_s)
    arf_by_name: dict[str, tuple[Arf | UnreadableArf, CompressedBlob | None]] = {}
    try:
        members = unpack_results(data, part_count)
    except (tarfile.TarError, ValueError) as e:
        reason = f"the results that oscap's script sent cannot be unpacked: {e}"
        return {f"arf-{n}.xml": (UnreadableArf(reason=reason), None) for n in range(part_count)}
    for n in range(part_count):
        name = f"arf-{n}.xml"
        arf_data = members.get(f"arf{n}.xml.gz")
        if failure := _find_failure(members, n, secrets):
            arf_by_name[name] = (failure, None)
            continue
        if arf_data is None:
            arf_by_name[name] = (UnreadableArf(reason=f"oscap left no {name}"), None)
            continue
        time_s = max(1.0, deadline.remaining_s / (part_count - n))
        chunks = cut_password_hashes(secrets.filter_chunks(_decompress(arf_data, name)))
        arf_by_name[name] = read_arf(chunks, name=name, limits=replace(limits, time_s=time_s))
    return arf_by_name


def _find_failure(
    members: Mapping[str, memoryview], part: int, secrets: SecretFilter
) -> UnreadableArf | None:
    status_file = members.get(f"rc{part}")
    failure = find_failure(
        None if status_file is None else bytes(status_file[:8]),
        secrets.filter_bytes(bytes(members.get(f"err{part}", memoryview(b""))[-_CHUNK:])),
    )
    if failure is None:
        return None
    return UnreadableArf(
        reason=failure.reason[:MAX_REASON_CHARS], is_due_to_content=failure.is_due_to_content
    )


def unpack_results(data: bytes, part_count: int) -> dict[str, memoryview]:
    """Return name -> member of the tar archive that the script sends.

    For the part ``N`` these are ``rcN``, ``errN`` and ``arfN.xml.gz``.

    ``tarfile`` itself keeps every member in memory and trusts extended headers, so only its
    parser of one header is used.

    Raises:
        TarError, ValueError: it is not the archive of the script.
    """
    names = ("rc{}", "err{}", "arf{}.xml.gz")
    expected = {name.format(n) for n in range(part_count) for name in names}
    view = memoryview(data)
    data_by_member: dict[str, memoryview] = {}
    offset = 0
    while offset < len(data) and any(header := data[offset : offset + _BLOCK]):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        start, end = offset + _BLOCK, offset + _BLOCK + member.size
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.name not in expected:
            raise ValueError(f"unexpected member {member.name[:40]!a}")
        if member.name in data_by_member:
            raise ValueError(f"{member.name} is duplicated")
        if not start <= end <= len(data):
            raise ValueError(f"{member.name} is cut short")
        data_by_member[member.name] = view[start:end]
        offset = start + -(-member.size // _BLOCK) * _BLOCK
    return data_by_member


def _decompress(data: memoryview, name: str) -> Iterator[bytes]:
    """Yield the bytes of a gzip file in chunks, so that the consumer can refuse a bomb.

    Raises:
        ToolError: it is damaged or cut short.
    """
    unpacker = zlib.decompressobj(wbits=31)
    offset = 0
    while not unpacker.eof:
        compressed = unpacker.unconsumed_tail
        if not compressed:
            compressed = bytes(data[offset : offset + _CHUNK])
            offset += len(compressed)
        if not compressed:
            raise ToolError([f"the ARF {name}"], "cannot be unpacked: it is cut short")
        try:
            yield unpacker.decompress(compressed, 4 * _CHUNK)
        except zlib.error as e:
            raise ToolError([f"the ARF {name}"], f"cannot be unpacked: {e}") from e


def _render_script(prepared: PreparedContent, size: int) -> str:
    script = _SCRIPT
    count = len(prepared.parts)
    for placeholder, value in {
        "@SIZE@": str(size),
        "@PARTS@": " ".join(str(n) for n in range(count)),
        "@RATIO@": f"{0.7 / count:.2f}",
        "@PROFILE@": _require_plain_id(prepared.benchmark.profile_id),
    }.items():
        script = script.replace(placeholder, value)
    return script


def _require_plain_id(profile_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", profile_id):
        raise ToolError(["oscap"], f"cannot use the profile id {profile_id[:80]!r}")
    return profile_id


def _raise_on_failure(
    exit_status: int, stderr: str, connection: Connection, timeout_s: float
) -> None:
    if exit_status == 0:
        return
    messages = [
        x for x in stderr[-_CHUNK:].splitlines() if x.strip() and not _PROGRESS_LINE.fullmatch(x)
    ]
    tail = "\n".join(messages[-15:])
    reason = {
        41: f"is not installed on {connection.target}",
        42: f"has no usable work folder on {connection.target}",
        43: f"received incomplete content on {connection.target}",
        124: f"did not end within {timeout_s:g} s on {connection.target}",
    }.get(exit_status, f"on {connection.target} ended with {exit_status}")
    raise ToolError(["oscap"], reason, output_tail=tail, hint=_HINTS.get(exit_status, ""))
