import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from packageurl import PackageURL

from hardpan.core.compression import compress
from hardpan.core.errors import InputError, ToolError, UnavailableError
from hardpan.core.events import Event, StageProgress, discard
from hardpan.core.redaction import SecretFilter
from hardpan.scanners.collect import (
    check_recorder,
    host,
    hostfacts,
    openscap,
    openscap_probe,
    openscap_results,
    openscap_script,
    packages,
)
from hardpan.scanners.collect.base import (
    COLLECTORS,
    CollectedEvidence,
    CollectTask,
    ExpectedState,
    create_collector,
)
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.raw_answers import WITHHELD, render_raw_files
from hardpan.scanners.content.prepare import StreamPart
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.openscap.arf.attachment import parse_and_compress
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.ssh.command import CommandOutput
from hardpan.ssh.connection import Connection, HostKey
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.unit.openscap.samples import ARF, NONE, make_prepared, make_rule

ARF_BYTES = ARF.replace("\x85", " ").encode()
ARF_GZ = gzip.compress(ARF_BYTES, mtime=0)


@pytest.fixture(autouse=True)
def _parse_arf_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test starts no process; tests/integration/test_arf_process.py has the real one."""

    def read(chunks: Iterable[bytes], *, name: str, limits: object) -> tuple[Any, Any]:
        try:
            return parse_and_compress(chunks, name=name)
        except ToolError as e:
            return UnreadableArf(reason=str(e)), None

    monkeypatch.setattr(openscap_results, "read_arf", read)


class FakeTarget:
    """A target that answers from a table, and counts the round trips."""

    target = "root@fake:22"
    host_key = HostKey(kind="ssh-ed25519", fingerprint="SHA256:x", trust=HostKeyTrust.PINNED)

    def __init__(
        self,
        data: bytes = b"",
        rc: int = 0,
        stderr: str = "",
        probe: bytes = b"program oscap\nprogram gzip\n",
    ) -> None:
        self.probe = CommandOutput(exit_status=0, data=probe, stderr="", duration_s=0.0)
        self.answer = CommandOutput(exit_status=rc, data=data, stderr=stderr, duration_s=0.0)
        self.commands: list[str] = []

    def run(self, command: Sequence[str] | str, **options: Any) -> CommandOutput:
        self.commands.append(command if isinstance(command, str) else " ".join(command))
        if command == openscap_probe.PROBE_SCRIPT:
            return self.probe
        for line in self.answer.stderr.splitlines():
            if options.get("on_line"):
                options["on_line"](line)
        return self.answer


def as_connection(target: FakeTarget) -> Connection:
    return cast(Connection, target)


@pytest.mark.parametrize("name", COLLECTORS)
def test_registered_collectors_can_be_created(name: str) -> None:
    assert callable(create_collector(name).collect)


def test_unknown_collector_is_refused() -> None:
    with pytest.raises(InputError, match="no collector 'x'"):
        create_collector("x")


def pack_results(**files: bytes) -> bytes:
    """Pack the members of a target's answer; an ARF gets the exit status 2 unless one is given."""
    arfs = [name for name in files if name.startswith("arf")]
    files = files | {f"rc{name[3]}": b"2\n" for name in arfs if f"rc{name[3]}" not in files}
    contents = {name.replace("__", "."): data for name, data in files.items()}
    packed = (f"{name} {len(data)}\n".encode() + data for name, data in contents.items())
    return b"".join([*packed, b"end 0\n"])


TASK = CollectTask(prepared=make_prepared((make_rule("xccdf_x_rule_one"),), ("xccdf_x_rule_one",)))


def test_openscap_collects_arf_with_progress() -> None:
    stderr = "hardpan-engine oscap 1.4.2; SCE plugin: 1\nxccdf_x_rule_one:fail\nnoise\n"
    fake = FakeTarget(pack_results(arf0__xml__gz=ARF_GZ), stderr=stderr)
    events: list[Event] = []

    evidence = openscap.OpenScap().collect(
        as_connection(fake), TASK, timeout_s=9, emit=events.append
    )

    assert len(fake.commands) == 2
    assert evidence.engine == "oscap 1.4.2; SCE plugin: 1"
    assert {name: compress(f).decompress() for name, f in evidence.files.items()} == {
        "arf-0.xml": ARF_BYTES
    }
    assert isinstance(evidence.arfs[0], Arf)
    assert evidence.arfs[0].rules["one"].verdict == "fail"
    assert StageProgress(stage="openscap", completed=1, total=1, text="one: fail") in events


@pytest.mark.parametrize(
    ("rc", "problem", "hint"),
    [
        (42, "oscap has no usable work folder", "free some space"),
        (43, "oscap received incomplete content", "upload"),
        (124, "oscap did not end within 9 s", ""),
        (139, "ended with 139", ""),
    ],
)
def test_openscap_failure_raises_tool_error(rc: int, problem: str, hint: str) -> None:
    fake = FakeTarget(rc=rc, stderr="xccdf_x_rule_one:pass\noscap: boom\n")

    with pytest.raises(ToolError, match=problem) as caught:
        openscap.OpenScap().collect(as_connection(fake), TASK, timeout_s=9, emit=discard)

    assert hint in caught.value.hint
    assert caught.value.output_tail == "oscap: boom"


def collect_openscap(data: bytes) -> CollectedEvidence:
    return openscap.OpenScap().collect(
        as_connection(FakeTarget(data)), TASK, timeout_s=9, emit=discard
    )


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cannot be unpacked: no file header at byte 0"),
        (b"junk" * 300, "cannot be unpacked"),
        (b"junk", "cannot be unpacked"),
        (pack_results(), "oscap left no exit status: it was killed"),
        (pack_results(rc0=b"0\n"), "oscap left no arf-0.xml"),
        (pack_results(rc0=b"x"), "oscap left no exit status: it was killed"),
        (
            pack_results(rc0=b"1\n", err0=b"OpenSCAP Error: \x1b[2Jbad", arf0__xml__gz=ARF_GZ),
            "oscap failed: OpenSCAP Error: [2Jbad",
        ),
        (pack_results(rc0=b"139\n", arf0__xml__gz=ARF_GZ), "oscap crashed with SIGSEGV"),
        (pack_results(arf0__xml__gz=b"not gzip"), "cannot be unpacked"),
        (pack_results(arf0__xml__gz=ARF_GZ[:-40]), "cannot be unpacked"),
        (
            pack_results(arf0__xml__gz=ARF_GZ[:20]),
            "cannot be unpacked: it is cut short",
        ),
        (
            pack_results(arf0__xml__gz=gzip.compress(ARF_BYTES[:2000], mtime=0)),
            "cut short or is not XML",
        ),
        (pack_results(arf0__xml__gz=ARF_GZ)[:300], "arf0.xml.gz is cut short"),
        (pack_results(arf0__xml__gz=b"") + b"x" * 9, "cannot be unpacked: it is cut short"),
        (pack_results(other=b"x"), "unexpected file 'other'"),
        (pack_results(arf1__xml__gz=b"x"), "unexpected file 'arf1.xml.gz'"),
    ],
)
def test_invalid_or_truncated_results_give_no_verdict(data: bytes, problem: str) -> None:
    evidence = collect_openscap(data)

    assert evidence.files == {}
    assert [type(a) for a in evidence.arfs] == [UnreadableArf]
    assert problem in cast(UnreadableArf, evidence.arfs[0]).reason
    assert [(c.name, c.outcome) for c in evidence.checks] == [("collect::arf-0.xml", "error")]


@pytest.mark.parametrize("size", [b"1099511627776", b"-1", b"", b"9" * 40, b"0x10"])
def test_file_with_impossible_size_is_refused(size: bytes) -> None:
    evidence = collect_openscap(b"rc0 2\n2\narf0.xml.gz " + size + b"\n" + ARF_GZ + b"end 0\n")

    reason = cast(UnreadableArf, evidence.arfs[0]).reason
    assert "arf0.xml.gz is cut short" in reason or "no file header at byte 8" in reason


def test_duplicate_file_is_refused() -> None:
    once = pack_results(arf0__xml__gz=ARF_GZ).removesuffix(b"end 0\n")

    evidence = collect_openscap(once + once)

    assert "arf0.xml.gz is duplicated" in cast(UnreadableArf, evidence.arfs[0]).reason


def test_uncompressed_arf_of_a_target_without_gzip_is_read() -> None:
    evidence = collect_openscap(pack_results(arf0__xml=ARF_BYTES))

    assert isinstance(evidence.arfs[0], Arf)


def test_unreadable_part_does_not_affect_other_parts() -> None:
    data = pack_results(arf0__xml__gz=b"junk", arf1__xml__gz=ARF_GZ)

    arf_by_name = openscap_results.read_results(data, 3, SecretFilter())

    assert [type(arf) for arf, _ in arf_by_name.values()] == [UnreadableArf, Arf, UnreadableArf]
    assert [packed is not None for _, packed in arf_by_name.values()] == [False, True, False]


DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize("size", [1, 3, 100])
def test_text_that_xml_forbids_is_replaced_in_an_arf(size: int) -> None:
    data = DECLARATION + b"<a>\t\r\n\x01\x1b caf\xe9 \xc3\xa9 \xef\xbf\xbf\x00</a>\xc3"
    chunks = [data[n : n + size] for n in range(0, len(data), size)]

    replaced = b"".join(openscap_results.replace_invalid_text(chunks)).decode()

    assert replaced == DECLARATION.decode() + (
        "<a>\t\r\n\ufffd\ufffd caf\ufffd \u00e9 \ufffd\x00</a>\ufffd"
    )


@pytest.mark.parametrize(
    "data", [b"", b"<a>\xe9\x1b</a>", '<?xml version="1.0"?>'.encode("utf-16")]
)
def test_document_that_is_not_as_oscap_writes_it_is_unchanged(data: bytes) -> None:
    assert b"".join(openscap_results.replace_invalid_text([data[:9], data[9:]])) == data


def test_password_in_stderr_is_redacted() -> None:
    data = pack_results(rc0=b"1\n", err0=b"no correct horse battery here")

    arf, _ = openscap_results.read_results(data, 1, SecretFilter(["correct horse battery"]))[
        "arf-0.xml"
    ]

    assert arf == UnreadableArf(reason="oscap failed: no [redacted] here", is_due_to_content=True)


def test_decompression_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpan.scanners.openscap.arf.parser.MAX_BYTES", 2 << 20)
    bomb = gzip.compress(ARF_BYTES + b" " * 10_000_000)

    evidence = collect_openscap(pack_results(arf0__xml__gz=bomb))

    reason = cast(UnreadableArf, evidence.arfs[0]).reason
    assert reason == "the ARF arf-0.xml is longer than 2 MiB"
    check = evidence.checks[0]
    assert (check.name, check.outcome) == ("collect::arf-0.xml", "error")
    assert check.message == "the ARF is longer than 2 MiB"


def test_password_in_arf_is_redacted_before_parsing() -> None:
    password = "correct horse battery"
    encoded = base64.b64encode(b"x" + password.encode() + b"y").decode()
    hostile = ARF_BYTES.decode().replace("/etc/x<", f"{password} {encoded}<").encode()
    data = pack_results(arf0__xml__gz=gzip.compress(hostile))

    arf_by_name = openscap_results.read_results(data, 1, SecretFilter([password]))

    arf, packed = arf_by_name["arf-0.xml"]
    assert isinstance(arf, Arf)
    assert packed is not None
    assert "filepath=[redacted] eG[redacted]" in arf.rules["one"].evidence_lines[1]
    assert password.encode() not in packed.decompress()
    assert encoded[4:-6].encode() not in packed.decompress()


def test_upload_is_reproducible() -> None:
    parts = (StreamPart(data=b"<a/>", sha256=NONE, rule_ids=("x",)),)

    once = openscap_script.encode_parts(parts, is_compressed=True)

    assert once == openscap_script.encode_parts(parts, is_compressed=True)
    assert gzip.decompress(once[0]) == b"<a/>"
    assert openscap_script.encode_parts(parts, is_compressed=False) == (b"<a/>",)


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf install openscap-scanner"),
        ('ID=debian\nVERSION_ID="12"', "apt install openscap-scanner"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"', "apt install libopenscap8"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "zypper install openscap-utils"),
        ("ID=gentoo", "install openscap-scanner on the target"),
    ],
)
def test_missing_oscap_names_the_install_command(os_release: str, command: str) -> None:
    probe = "program gzip\n" + "".join(f"os {x}\n" for x in os_release.splitlines())

    with pytest.raises(ToolError, match="is not installed on root@fake:22") as caught:
        openscap.OpenScap().collect(
            as_connection(FakeTarget(probe=probe.encode())), TASK, timeout_s=9, emit=discard
        )

    assert command in caught.value.hint


def test_profile_id_cannot_inject_a_command() -> None:
    hostile = make_prepared((make_rule("r"),), ("r",))
    bench = SimpleNamespace(profile_id="x; reboot", benchmark_id="b", rules=(), version="1")
    object.__setattr__(hostile, "benchmark", bench)

    with pytest.raises(ToolError, match="cannot use the profile id"):
        openscap.OpenScap().collect(
            as_connection(FakeTarget()), CollectTask(prepared=hostile), timeout_s=9, emit=discard
        )


OS_RELEASE = """ID="hardpan-lab"
VERSION_ID='9.0'
PRETTY_NAME="hardpan lab"
CPE_NAME="cpe:/o:hardpan:lab:9"
"""
ANSWERS = {
    "hostname": "lab\x1b[31m\n",
    "machine_id": "0123456789abcdef0123456789abcdef\n",
    "product_uuid": "ABCD\n",
    "os_release": OS_RELEASE,
    "fips": "1\n",
    "processors": "8\n",
    "inodes": "/dev/vda2 524288 350 523938 1% /boot\n",
    "oscap": "missing awk\nOpenSCAP command line tool (oscap) 1.3.7\nSCE Version: 1.0 (from x)\n",
    "memory": "MemAvailable:   8388608 kB\n",
    "packages": "bash-0:5.2-1.x86_64\ngpg-pubkey-0:1-1.(none)\nacl-0:2.3-1.x86_64\n",
}


class AnsweringTarget(FakeTarget):
    """Answers a batch of questions, each with its text."""

    def __init__(self, answers: Mapping[str, str], status: str = "0") -> None:
        super().__init__()
        self._answers = answers
        self._status = status

    def run(self, command: Sequence[str] | str, **options: Any) -> CommandOutput:
        match = re.search(r"echo '([^']+)' begin", str(command))
        assert match is not None
        text = "".join(
            f"{match[1]} begin {name}\n{answer}\n{match[1]} end {name} {self._status}\n"
            for name, answer in self._answers.items()
        )
        self.answer = replace(self.answer, data=text.encode("utf-8", "surrogateescape"))
        return super().run(command, **options)


def collect_identity(fake: FakeTarget) -> CollectedEvidence:
    return host.HostIdentity().collect(
        as_connection(fake), CollectTask(), timeout_s=9, emit=discard
    )


def test_host_is_collected_in_a_single_round_trip_without_raw_ids() -> None:
    fake = AnsweringTarget(ANSWERS)

    evidence = collect_identity(fake)

    assert len(fake.commands) == 1
    assert (evidence.job_count, evidence.file_count) == (4, 350)
    assert evidence.missing_for_scripts == ("awk",)
    assert evidence.packages == ("acl-0:2.3-1.x86_64", "bash-0:5.2-1.x86_64")
    assert evidence.host is not None
    assert (evidence.host.hostname, evidence.host.os_id, evidence.host.os_version) == (
        "lab[31m",
        "hardpan-lab",
        "9.0",
    )
    assert evidence.host.fips_kernel_flag
    assert "0123456789abcdef" not in repr(evidence.host)


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("SCE Version: 1.0 (from libopenscap_sce.so.25)", ()),
        ("oscap 1.4.2", (host.SCE_PLUGIN,)),
        ("the SCE Version: 1", (host.SCE_PLUGIN,)),
        ("missing findmnt\nmissing awk\nmissing rm\nSCE Version: 1.0", ("awk", "findmnt")),
    ],
)
def test_host_reports_missing_programs_of_script_checks(
    answer: str, missing: tuple[str, ...]
) -> None:
    evidence = collect_identity(AnsweringTarget({**ANSWERS, "oscap": answer}))

    assert evidence.missing_for_scripts == missing


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("1000\n", 0),
        ("1100", 0),
        ("1050", 0),
        ("999", -1),
        ("87500", 86_400),
        ("-5", -1005),
        ("", None),
        ("1e9", None),
        ("9" * 13, None),
    ],
)
def test_clock_of_the_target_is_compared(
    answer: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1000, 1100])
    monkeypatch.setattr(
        "hardpan.core.clock.now", lambda: datetime.fromtimestamp(next(times), tz=UTC)
    )

    evidence = collect_identity(AnsweringTarget({**ANSWERS, "clock": answer}))

    assert evidence.host is not None
    assert evidence.host.clock_difference_s == expected


def test_machine_id_hmac_matches_systemd() -> None:
    # systemd-id128 machine-id --app-specific=9a1d6f0c5b7e4c0d8f3a2e61b84d7c95
    machine_id_hmac = host.derive_machine_id_hmac("0123456789abcdef0123456789abcdef")

    assert len(machine_id_hmac) == 32
    assert machine_id_hmac[12] == "4"
    assert machine_id_hmac[16] in "89ab"
    assert host.derive_machine_id_hmac("uninitialized") == ""


def test_target_without_os_release_is_a_linux_without_name() -> None:
    evidence = host.HostIdentity().collect(
        as_connection(FakeTarget(b"")), CollectTask(), timeout_s=9, emit=discard
    )

    assert evidence.host is not None
    assert (evidence.host.os_id, evidence.host.os_name) == ("linux", "linux")
    assert evidence.release == OsRelease(os_id="linux")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("os_release", f"{OS_RELEASE}\nMARK begin os_release\n"),
        ("kernel", "6.1\nMARK end kernel 99999\n"),
    ],
)
def test_malformed_host_answers_are_refused(
    name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    text = answer.replace("MARK", "@@hardpan-0")

    with pytest.raises(ToolError):
        collect_identity(AnsweringTarget({**ANSWERS, name: text}))


@pytest.mark.parametrize("answer", ["\x1b[2J\n", "".join(f"p{n}-0:1-1.x\n" for n in range(50_001))])
def test_host_is_identified_without_a_usable_package_list(answer: str) -> None:
    evidence = collect_identity(AnsweringTarget({**ANSWERS, "packages": answer}))

    assert evidence.host is not None
    assert evidence.packages == ()


def collect_packages(answer: bytes, status: int = 0) -> CollectedEvidence:
    return packages.PackageCollector().collect(
        as_connection(FakeTarget(answer, rc=status)),
        CollectTask(distro="debian-12"),
        timeout_s=9,
        emit=discard,
    )


def test_target_without_package_manager_lacks_a_precondition() -> None:
    with pytest.raises(UnavailableError, match="neither rpm nor dpkg-query is installed"):
        collect_packages(b"", status=127)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"\n", "name no package"),
        (b"b" * 500_000, "name no package"),
        (b"gpg-pubkey-0:1-1.(none)\n", "name no package"),
        (b"".join(b"p%d-0:1-1.x\n" % n for n in range(50_001)), "has 50001 lines"),
    ],
)
def test_answer_without_packages_or_with_too_many_is_an_error(answer: bytes, problem: str) -> None:
    with pytest.raises(ToolError, match=problem) as caught:
        collect_packages(answer)

    assert not isinstance(caught.value, UnavailableError)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"junk", "'junk'"),
        (b"\xff", "'\\ufffd'"),
        (b"bash-%d:5.2-1.x86_64" % 10**20, "'bash-1000"),
        (b"deb\tinstalled\tBash\t1\tamd64", "'deb"),
        (b"error: rpmdb: damaged header #17 retrieved -- skipping.", "'error"),
    ],
)
def test_invalid_line_is_noted_and_the_other_packages_are_listed(line: bytes, text: str) -> None:
    evidence = collect_packages(b"bash-0:5.2-1.x86_64\n" + line + b"\nacl-0:1-1.x\n")

    assert evidence.packages == ("acl-0:1-1.x", "bash-0:5.2-1.x86_64")
    assert [(c.name, c.outcome) for c in evidence.checks] == [
        ("collect::packages[lines]", "not_checked")
    ]
    assert f"1 lines are no package: {text}" in evidence.checks[0].message


def test_debian_packages_are_package_urls_as_packageurl_writes_them() -> None:
    evidence = collect_packages(
        b"deb\tinstalled\tlibstdc++6\t1:12.2.0-14+deb12u1~x\tamd64\n"
        b"deb\tconfig-files\tgone\t1\tamd64\n"
        b"deb\tnot-installed\tvirtual\t\t\n"
        b"bash-0:5.2-1.x86_64\n"
    )
    url = PackageURL(
        type="deb",
        namespace="debian",
        name="libstdc++6",
        version="1:12.2.0-14+deb12u1~x",
        qualifiers={"arch": "amd64", "distro": "debian-12"},
    )

    assert evidence.packages == ("bash-0:5.2-1.x86_64", url.to_string())
    assert evidence.checks == ()


EXPECTED = ExpectedState(build_user="steward", enabled=("sshd",), disabled=("x",), ai_python="/p")


def test_check_commands_are_unique() -> None:
    listed = queries.list_queries(EXPECTED)
    commands = [query.command_line for query in listed]

    assert len(commands) == len(set(commands))
    assert queries.service_query("is-active", "sshd") in listed
    assert queries.torch_query("/p") in listed


def test_checks_never_read_password_hashes() -> None:
    assert [q for q in queries.list_queries(EXPECTED) if "shadow" in q.script] == [
        queries.EMPTY_PASSWORDS
    ]
    assert queries.EMPTY_PASSWORDS.script.endswith(" | cut -d: -f1")


def test_backend_runs_only_commands_without_cached_answer() -> None:
    fake = FakeTarget(b"new\n")
    backend = hostfacts.SshBackend(as_connection(fake), timeout_s=9)
    backend._answer_by_command = {"known": (3, "old\n")}

    assert (backend.run("known").rc, backend.run("known").stdout) == (3, "old\n")
    assert backend.run("echo %s", "a b").stdout == "new\n"
    assert fake.commands == ["echo 'a b'"]


def test_prefetched_answers_are_stored_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    mark = "@@hardpan-0"
    output = f"{mark} begin 0\none\n\n{mark} end 0 0\n{mark} begin 1\n\n{mark} end 1 5\n"
    backend = hostfacts.SshBackend(as_connection(FakeTarget(output.encode())), timeout_s=9)

    backend.prefetch(["a", "b"])

    assert backend._answer_by_command == {"a": (0, "one\n"), "b": (5, "")}


def test_check_modules_import_and_their_tables_match() -> None:
    names = sorted(path.stem for path in hostfacts.CHECKS.glob("test_*.py"))
    modules = [import_module(f"hardpan.scanners.collect.checks.{name}") for name in names]
    tables = [getattr(module, "PARAMETERS", {}) for module in modules]
    filled = {t: list(maker(EXPECTED)) for table in tables for t, maker in table.items()}

    assert len(filled) == sum(map(len, tables)) == 7
    assert [t for m in modules for t in getattr(m, "PARAMETERS", {}) if t not in vars(m)] == []
    assert filled["test_service_is_enabled_and_active"] == ["sshd"]
    assert filled["test_service_is_inactive"] == ["x"]


def test_check_message_is_its_first_line() -> None:
    crash = SimpleNamespace(message="AssertionError: mode is 644\nassert 'secret' == ''")
    report = SimpleNamespace(
        longrepr=SimpleNamespace(reprcrash=crash),
        when="call",
        outcome="failed",
        skipped=False,
        passed=False,
        nodeid="test_a.py::test_b[x]",
        duration=0.1234,
    )

    host_check = check_recorder.to_host_check(cast(pytest.TestReport, report))

    assert host_check == HostCheck(
        name="test_a::test_b[x]", outcome="failed", message="mode is 644", duration_s=0.123
    )


class SlowTarget(FakeTarget):
    """A target that lets each command run into its time limit; ``clock`` goes with it."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self._clock = clock

    def run(self, command: Sequence[str] | str, **options: Any) -> CommandOutput:
        self.commands.append(str(command))
        self._clock[0] += options["timeout_s"]
        raise ToolError(["x"], "did not end in time")


def test_checks_share_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: clock[0])
    fake = SlowTarget(clock)
    backend = hostfacts.SshBackend(as_connection(fake), timeout_s=200)

    backend.prefetch(["a", "b"])
    for _ in range(50):
        with pytest.raises(
            ToolError, match="exceeded their time limit of 200 s; this check did not run"
        ):
            backend.run("a")

    assert clock == [200.0]
    assert len(fake.commands) == 1


def test_single_questions_share_the_remaining_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("hardpan.core.clock.monotonic_s", lambda: clock[0])
    fake = SlowTarget(clock)
    backend = hostfacts.SshBackend(as_connection(fake), timeout_s=200)

    for _ in range(50):
        with pytest.raises(ToolError):
            backend.run("a")

    assert clock == [200.0]
    assert len(fake.commands) == 3


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("MARK begin 0\none\nMARK begin 0\n", "holds the begin of another answer"),
        ("MARK begin 0\none\nMARK end 0 " + "9" * 5000 + "\n", "holds a damaged mark"),
        ("MARK begin 0\none\nMARK end 0 999\n", "has no exit status"),
        ("MARK begin 0\n" + "x" * 300_000 + "\nMARK end 0 0\n", "is longer than"),
        ("MARK begin 0\n" + "x" * (1 << 18) + "\n\nMARK end 0 0\n", "is longer than"),
    ],
)
def test_refused_answer_of_a_batch_is_an_error(
    answer: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    fake = FakeTarget(answer.replace("MARK", "@@hardpan-0").encode())
    backend = hostfacts.SshBackend(as_connection(fake), timeout_s=9)
    backend.prefetch(["a"])

    with pytest.raises(ToolError, match=problem):
        backend.run("a")

    assert len(fake.commands) == 1


def test_answer_to_unknown_question_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    mark = "@@hardpan-0"
    backend = hostfacts.SshBackend(
        as_connection(FakeTarget(f"{mark} begin 99\nx\n{mark} end 99 0\n".encode())), timeout_s=9
    )

    backend.prefetch(["a"])

    assert backend._answer_by_command == {}


class UniformTarget(AnsweringTarget):
    """Answers every question of the checks with one text."""

    def __init__(self, text: str) -> None:
        super().__init__({str(n): text for n in range(100)})


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        "nan",
        "\0\ufffd\x1b]0;x\x07",
        "UMASK 9999\nUMASK\n",
        "a b c d:notaport\n" * 3,
        "x\n" * 100_000,
        "[[[[" * 10_000,
    ],
)
def test_malformed_answers_make_checks_fail_or_error(text: str) -> None:
    task = CollectTask(expected=replace(EXPECTED, suid=("/x",), mounts={"/": ("rw",)}))

    evidence = hostfacts.HostFacts().collect(
        as_connection(UniformTarget(text)), task, timeout_s=60, emit=discard
    )

    outcomes = {c.name: c.outcome for c in evidence.checks}
    assert len(outcomes) >= 25
    assert outcomes["hardpan-check-uid-zero"] == "failed"
    assert outcomes["hardpan-check-audit-rules"] in ("failed", "error")
    assert max(len(c.message) for c in evidence.checks) <= 400
    assert all(c.message.isprintable() for c in evidence.checks)


def test_check_without_values_in_the_profile_is_skipped_under_its_id() -> None:
    evidence = hostfacts.HostFacts().collect(
        as_connection(UniformTarget("x\n")),
        CollectTask(expected=replace(EXPECTED, sysctls={}, disabled=())),
        timeout_s=60,
        emit=discard,
    )

    results = {c.name: (c.outcome, c.message) for c in evidence.checks}
    skipped = ("skipped", "the profile has no value to check")
    assert results["hardpan-check-layer-sysctl"] == skipped
    assert results["hardpan-check-service-inactive"] == skipped
    assert not any("NOTSET" in name for name in results)


def test_check_with_unreadable_answer_is_an_error() -> None:
    evidence = hostfacts.HostFacts().collect(
        as_connection(UniformTarget("UMASK 9\n")),
        CollectTask(expected=EXPECTED),
        timeout_s=60,
        emit=discard,
    )

    umask = next(c for c in evidence.checks if c.name == "hardpan-check-umask")
    assert umask.outcome == "error"
    assert umask.message.startswith(
        "the target's answer cannot be read: ValueError: invalid literal"
    )


def test_answers_of_the_host_are_logged_without_its_identifiers() -> None:
    uuid = "4c4c4544-0000-2010-8020-80c04f202020"
    hyphened = str(UUID(ANSWERS["machine_id"].strip())).upper()
    cmdline = f"ro id={uuid} {uuid.replace('-', '')} {hyphened}"
    target = AnsweringTarget({**ANSWERS, "product_uuid": uuid, "cmdline": cmdline})
    collection = Collection(as_connection(target), discard)
    collection.identify_host()
    files = render_raw_files(collection.answer_logs)
    answers = {a["question"]: a for a in json.loads(files["raw/host.json"])["answers"]}

    assert answers["os_release"]["output"] == OS_RELEASE
    assert answers["os_release"]["command"] == host.QUESTIONS["os_release"]
    assert answers["hostname"]["output"] == "lab\x1b[31m\n"
    assert answers["cmdline"]["output"] == "ro id=[redacted] [redacted] [redacted]"
    assert answers["machine_id"]["output"] == answers["product_uuid"]["output"] == WITHHELD
    assert uuid.encode() not in files["raw/host.json"]
    assert ANSWERS["machine_id"].strip().encode() not in files["raw/host.json"]


def test_answers_of_a_failed_collector_are_logged() -> None:
    collection = Collection(as_connection(FakeTarget(b"no package\n")), discard)
    collection.attempt("packages", CollectTask())
    (answer,) = json.loads(render_raw_files(collection.answer_logs)["raw/packages.json"])["answers"]

    assert collection.failed["packages"].outcome == "error"
    assert (answer["exitStatus"], answer["output"]) == (0, "no package\n")
