import gzip
import io
import tarfile
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan.errors import InputError, ToolError
from hardpan.events import Event, Progress, silent
from hardpan.packed import pack
from hardpan.scanners.call import Output
from hardpan.scanners.collect import host, hostfacts, openscap, packages
from hardpan.scanners.collect.base import COLLECTORS, Expected, Task, collector
from hardpan.scanners.collect.checks import asked
from hardpan.scanners.content.prepare import Part
from hardpan.scanners.model import HostKeyTrust
from hardpan.scanners.transport import HostKey, Transport
from hardpan.scanners.trials import Check
from tests.unit.evaluate.arfs import ARF, NONE, prepared, rule

WHOLE = ARF.replace("\x85", " ").encode()


class Fake:
    """A target that answers from a table, and counts the round trips."""

    target = "root@fake:22"
    host_key = HostKey(kind="ssh-ed25519", fingerprint="SHA256:x", trust=HostKeyTrust.PINNED)

    def __init__(self, data: bytes = b"", rc: int = 0, stderr: str = "") -> None:
        self.answer = Output(rc=rc, data=data, stderr=stderr, took_s=0.0)
        self.asked: list[str] = []

    def run(self, command: Sequence[str] | str, **given: Any) -> Output:
        self.asked.append(command if isinstance(command, str) else " ".join(command))
        for line in self.answer.stderr.splitlines():
            if given.get("on_line"):
                given["on_line"](line)
        return self.answer


def via(fake: Fake) -> Transport:
    return cast(Transport, fake)


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_collector_in_the_table_can_be_made(name: str) -> None:
    assert callable(collector(name).collect)


def test_an_unknown_collector_is_refused() -> None:
    with pytest.raises(InputError, match="no collector 'x'"):
        collector("x")


def sent(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.replace("__", "."))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


TASK = Task(prepared=prepared((rule("xccdf_x_rule_one"),), ("xccdf_x_rule_one",)))


def test_openscap_brings_its_arf_in_one_round_trip_and_tells_how_far_it_is() -> None:
    said = "hardpan-engine oscap 1.4.2; SCE plugin: 1\nxccdf_x_rule_one:fail\nnoise\n"
    fake = Fake(sent(arf0__xml__gz=gzip.compress(WHOLE)), stderr=said)
    heard: list[Event] = []

    found = openscap.OpenScap().collect(via(fake), TASK, timeout_s=9, emit=heard.append)

    assert len(fake.asked) == 1
    assert found.engine == "oscap 1.4.2; SCE plugin: 1"
    assert {name: pack(f).data() for name, f in found.files.items()} == {"arf-0.xml": WHOLE}
    assert found.arfs[0].rules["one"].verdict == "fail"
    assert Progress(stage="openscap", done=1, total=1, text="one: fail") in heard


@pytest.mark.parametrize(
    ("rc", "problem", "hint"),
    [
        (41, "oscap is not installed on root@fake:22", "install openscap-scanner"),
        (42, "oscap has no folder to work in", "free some space"),
        (43, "oscap did not get its content whole", "upload"),
        (44, "oscap failed on", ""),
        (124, "oscap did not end within 9 s", ""),
        (139, "ended with 139", ""),
    ],
)
def test_openscap_that_did_not_work_is_an_error(rc: int, problem: str, hint: str) -> None:
    fake = Fake(rc=rc, stderr="xccdf_x_rule_one:pass\noscap: boom\n")

    with pytest.raises(ToolError, match=problem) as caught:
        openscap.OpenScap().collect(via(fake), TASK, timeout_s=9, emit=silent)

    assert hint in caught.value.hint
    assert caught.value.tail == "oscap: boom"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cannot be unpacked"),
        (b"junk" * 300, "cannot be unpacked"),
        (sent(), "left no arf-0.xml"),
        (sent(arf0__xml__gz=b"not gzip"), "cannot be unpacked"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE)[:-40]), "cannot be unpacked"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE[:2000])), "cut short or is not XML"),
    ],
)
def test_odd_or_truncated_results_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        openscap.OpenScap().collect(via(Fake(data)), TASK, timeout_s=9, emit=silent)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpan.scanners.arf_reader.MAX_BYTES", 2 << 20)
    bomb = gzip.compress(WHOLE + b" " * 10_000_000)

    with pytest.raises(ToolError, match=r"the ARF arf-0\.xml is longer than 2 MiB"):
        openscap.unpacked(sent(arf0__xml__gz=bomb), 1)


def test_the_upload_has_the_same_bytes_each_time_and_its_digests() -> None:
    parts = (Part(data=b"<a/>", sha256=NONE, rule_ids=("x",)),)

    once = openscap.packed(parts)

    assert once == openscap.packed(parts)
    with tarfile.open(fileobj=io.BytesIO(once)) as tar:
        assert tar.getnames() == ["part0.xml", "sums"]


def test_a_profile_id_cannot_smuggle_a_command() -> None:
    odd = prepared((rule("r"),), ("r",))
    bench = SimpleNamespace(profile_id="x; reboot", benchmark_id="b", rules=(), version="1")
    object.__setattr__(odd, "benchmark", bench)

    with pytest.raises(ToolError, match="cannot be given the profile id"):
        openscap.OpenScap().collect(via(Fake()), Task(prepared=odd), timeout_s=9, emit=silent)


SAID = """@@hardpan hostname
lab\x1b[31m
@@hardpan machine_id
0123456789abcdef0123456789abcdef
@@hardpan product_uuid
ABCD
@@hardpan os_release
ID="hardpan-lab"
VERSION_ID='9.0'
PRETTY_NAME="hardpan lab"
CPE_NAME="cpe:/o:hardpan:lab:9"
@@hardpan fips
1
@@hardpan packages
bash-0:5.2-1.x86_64
gpg-pubkey-0:1-1.(none)
acl-0:2.3-1.x86_64
"""


def test_the_host_is_read_from_one_round_trip_and_its_ids_are_hidden() -> None:
    fake = Fake(SAID.encode())

    found = host.HostIdentity().collect(via(fake), Task(), timeout_s=9, emit=silent)

    assert len(fake.asked) == 1
    assert found.packages == ("acl-0:2.3-1.x86_64", "bash-0:5.2-1.x86_64")
    assert found.host is not None
    assert (found.host.hostname, found.host.os_id, found.host.os_version) == (
        "lab[31m",
        "hardpan-lab",
        "9.0",
    )
    assert found.host.fips_kernel_flag
    assert "0123456789abcdef" not in repr(found.host)


def test_the_machine_id_is_hashed_as_systemd_does() -> None:
    # systemd-id128 machine-id --app-specific=9a1d6f0c5b7e4c0d8f3a2e61b84d7c95
    made = host.app_specific("0123456789abcdef0123456789abcdef")

    assert len(made) == 32
    assert made[12] == "4"
    assert made[16] in "89ab"
    assert host.app_specific("uninitialized") == ""


def test_a_target_that_does_not_say_what_it_is_is_refused() -> None:
    with pytest.raises(ToolError, match="does not say what system it is"):
        host.HostIdentity().collect(via(Fake(b"")), Task(), timeout_s=9, emit=silent)


def test_a_target_without_an_rpm_database_is_refused() -> None:
    with pytest.raises(ToolError, match="knows no package"):
        packages.Packages().collect(via(Fake(b"junk\n")), Task(), timeout_s=9, emit=silent)


EXPECTED = Expected(build_user="steward", enabled=("sshd",), disabled=("x",), ai_python="/p")


def test_what_the_checks_ask_is_asked_once() -> None:
    found = asked.commands(EXPECTED)

    assert len(found) == len(set(found))
    assert asked.service("is-active", "sshd") in found
    assert asked.TORCH.format("/p") in found


def test_no_check_brings_a_password_hash_to_the_scanner() -> None:
    assert [c for c in asked.commands(EXPECTED) if "shadow" in c] == [asked.EMPTY_PASSWORDS]
    assert asked.EMPTY_PASSWORDS.endswith(" | cut -d: -f1")


def test_an_unknown_command_goes_to_the_target_and_a_known_one_does_not() -> None:
    fake = Fake(b"new\n")
    backend = hostfacts.OverTransport(via(fake), timeout_s=9)
    backend._known = {"known": (3, "old\n")}

    assert (backend.run("known").rc, backend.run("known").stdout) == (3, "old\n")
    assert backend.run("echo %s", "a b").stdout == "new\n"
    assert fake.asked == ["echo 'a b'"]


def test_the_answers_of_a_batch_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    mark = "@@hardpan-0"
    said = f"\n{mark} 0\none\n\n{mark} 0 0\n\n{mark} 1\n\n{mark} 1 5\n"
    backend = hostfacts.OverTransport(via(Fake(said.encode())), timeout_s=9)

    backend.ask_ahead(["a", "b"])

    assert backend._known == {"a": (0, "one\n"), "b": (5, "")}


def test_every_file_of_checks_can_be_imported_and_its_tables_fit() -> None:
    names = sorted(path.stem for path in hostfacts.CHECKS.glob("test_*.py"))
    modules = [import_module(f"hardpan.scanners.collect.checks.{name}") for name in names]
    tables = [getattr(module, "EACH", {}) for module in modules]
    filled = {t: list(maker(EXPECTED)) for table in tables for t, maker in table.items()}

    assert len(filled) == sum(map(len, tables)) == 7
    assert [t for m in modules for t in getattr(m, "EACH", {}) if t not in vars(m)] == []
    assert filled["test_the_service_is_enabled_and_runs"] == ["sshd"]
    assert filled["test_the_service_is_off"] == ["x"]


def test_a_checks_message_shows_its_first_line_alone() -> None:
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

    made = hostfacts._check(cast(pytest.TestReport, report))

    assert made == Check(
        name="test_a::test_b[x]", outcome="failed", message="mode is 644", took_s=0.123
    )
