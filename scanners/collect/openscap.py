"""OpenSCAP on the target: several processes, no remaining files.

A first script asks what the target has. A second reads the data streams from its stdin, evaluates
each in a separate oscap process, reports each rule's result on stderr immediately, and sends the
ARFs on stdout.
"""

import re

from hardpan.core.clock import Deadline
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    Collector,
    CollectTask,
    build_unreadable_check,
)
from hardpan.scanners.collect.openscap_probe import (
    PROBE_SCRIPT,
    TargetFacts,
    install_hint,
    parse_probe,
)
from hardpan.scanners.collect.openscap_results import read_results
from hardpan.scanners.collect.openscap_script import (
    CANNOT_EXECUTE,
    CANNOT_UNPACK,
    INCOMPLETE_UPLOAD,
    NO_FOLDER,
    NO_TMP,
    encode_parts,
    render_script,
)
from hardpan.scanners.openscap.arf.results import UnreadableArf
from hardpan.ssh.connection import Connection

STAGE = "openscap"
_PROGRESS_LINE = re.compile(r"(?P<rule>xccdf_[A-Za-z0-9_.-]{1,240}):(?P<verdict>[a-z]{4,20})")
_ENGINE = re.compile(r"hardpan-engine (?P<text>.{1,300})")
_MiB = 1 << 20
_MAX_OUTPUT_BYTES = 128 * _MiB
_MAX_MESSAGE_BYTES = 1 << 18
_PROBE_S = 60.0

_HINTS = {
    CANNOT_UNPACK: "the target needs rpm2cpio and cpio for an RPM, dpkg-deb for a Debian package",
    CANNOT_EXECUTE: "fapolicyd refuses uploaded programs, and a package of another release lacks "
    "libraries: install the package on the target instead",
    NO_FOLDER: "free some space in /var/lib, /root or /run on the target; folders of other users, "
    "and /tmp without the sticky bit, are not used",
    INCOMPLETE_UPLOAD: "the upload was cut short or changed in transit",
    NO_TMP: "oscap writes temporary files to /tmp, which cannot be configured: mount a tmpfs there",
}


class MissingOpenScapError(ToolError):
    """The target has no oscap; ``hint`` has the command that installs it."""


class OpenScap(Collector):
    """Evaluates the content's parts on the target."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect the ARFs, compressed and parsed; an unreadable one does not affect the others.

        Raises:
            MissingOpenScapError: oscap is missing there.
            ToolError: the script failed.
        """
        if task.prepared is None:
            raise ValueError("openscap needs content")
        deadline = Deadline(timeout_s)
        packages = task.openscap_packages
        facts = _probe(connection, min(timeout_s, _PROBE_S), is_pushed=bool(packages))
        parts = encode_parts(task.prepared.parts, is_compressed=facts.has_gzip)
        upload = b"".join([*parts, *(p.data for p in packages)])
        listener = _ProgressListener(sum(len(p.rule_ids) for p in task.prepared.parts), emit)
        emit(StageMessage(stage=STAGE, text=f"uploading {len(upload) >> 10} KiB of content"))
        time_s = max(1.0, deadline.remaining_s)
        output = connection.run(
            render_script(
                task.prepared,
                parts,
                is_compressed=facts.has_gzip,
                timeout_s=time_s,
                packages=packages,
            ),
            timeout_s=time_s,
            ok=None,
            stdin=upload,
            sudo=True,
            max_bytes=_MAX_OUTPUT_BYTES,
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
                build_unreadable_check(name, arf.reason)
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
            name = shorten_id(progress["rule"])
            text = f"{name}: {progress['verdict']}"
            done_count = len(self._reported_rules)
            self._emit(
                StageProgress(stage=STAGE, completed=done_count, total=self._total, text=text)
            )


def _probe(connection: Connection, timeout_s: float, *, is_pushed: bool) -> TargetFacts:
    """Return what the target has.

    Raises:
        MissingOpenScapError: oscap is missing there.
        ToolError: the target does not answer.
    """
    output = connection.run(PROBE_SCRIPT, timeout_s=timeout_s, sudo=True, max_bytes=_MiB)
    facts = parse_probe(output.stdout)
    if not facts.has_oscap and not is_pushed:
        raise MissingOpenScapError(
            ["oscap"],
            f"is not installed on {connection.target}",
            hint=f"{install_hint(facts)}; or upload it for a scan with --push-openscap",
        )
    return facts


def _raise_on_failure(
    exit_status: int, stderr: str, connection: Connection, timeout_s: float
) -> None:
    if exit_status == 0:
        return
    messages = [
        x
        for x in stderr[-_MAX_MESSAGE_BYTES:].splitlines()
        if x.strip() and not _PROGRESS_LINE.fullmatch(x) and not _ENGINE.fullmatch(x)
    ]
    tail = "\n".join(messages[-15:])
    reason = {
        NO_FOLDER: f"has no usable work folder on {connection.target}",
        CANNOT_UNPACK: f"cannot be unpacked on {connection.target}",
        CANNOT_EXECUTE: f"cannot be executed on {connection.target}",
        NO_TMP: f"cannot run on {connection.target}",
        INCOMPLETE_UPLOAD: f"received incomplete content on {connection.target}",
        124: f"did not end within {timeout_s:g} s on {connection.target}",
    }.get(exit_status, f"on {connection.target} ended with {exit_status}")
    raise ToolError(["oscap"], reason, output_tail=tail, hint=_HINTS.get(exit_status, ""))
