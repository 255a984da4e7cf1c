import base64
import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan.errors import InputError, ToolError
from hardpan.events import Event, Progress, silent
from hardpan.packed import pack
from hardpan.redaction import SecretFilter
from hardpan.scanners.arf import Arf, UnreadableArf, parse_and_pack
from hardpan.scanners.call import Output
from hardpan.scanners.collect import host, hostfacts, openscap, packages
from hardpan.scanners.collect.base import COLLECTORS, Evidence, Expected, Task, collector
from hardpan.scanners.collect.checks import asked
from hardpan.scanners.content.prepare import Part
from hardpan.scanners.model import HostKeyTrust
from hardpan.scanners.transport import HostKey, Transport
from hardpan.scanners.trials import Check
from tests.unit.evaluate.arfs import ARF, NONE, prepared, rule

WHOLE = ARF.replace("\x85", " ").encode()


@pytest.fixture(autouse=True)
def _read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test starts no process; tests/integration/test_arf_process.py has the real one."""

    def read(chunks: Iterable[bytes], *, name: str, limits: object) -> tuple[Any, Any]:
        try:
            return parse_and_pack(chunks, name=name)
        except ToolError as e:
            return UnreadableArf(reason=str(e)), None

    monkeypatch.setattr(openscap, "read_arf", read)


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
    assert isinstance(found.arfs[0], Arf)
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


def collected(data: bytes) -> Evidence:
    return openscap.OpenScap().collect(via(Fake(data)), TASK, timeout_s=9, emit=silent)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "oscap left no arf-0.xml"),
        (b"junk" * 300, "cannot be unpacked"),
        (b"junk", "cannot be unpacked"),
        (sent(), "left no arf-0.xml"),
        (sent(arf0__xml__gz=b"not gzip"), "cannot be unpacked"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE)[:-40]), "cannot be unpacked"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE)[:20]), "cannot be unpacked: it is cut short"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE[:2000])), "cut short or is not XML"),
        (sent(arf0__xml__gz=gzip.compress(WHOLE))[:1000], "arf0.xml.gz is cut short"),
        (sent(arf0__xml__gz=b"") + b"x" * 512, "cannot be unpacked: it is cut short"),
        (sent(other=b"x"), "unexpected member 'other'"),
        (sent(arf1__xml__gz=b"x"), "unexpected member 'arf1.xml.gz'"),
    ],
)
def test_odd_or_truncated_results_give_no_verdict(data: bytes, problem: str) -> None:
    found = collected(data)

    assert found.files == {}
    assert [type(a) for a in found.arfs] == [UnreadableArf]
    assert problem in cast(UnreadableArf, found.arfs[0]).reason
    assert [(c.name, c.outcome) for c in found.checks] == [("collect::arf-0.xml", "error")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, b"x", b"g", b"S", b"L"])
def test_a_member_that_is_no_plain_file_is_refused(kind: bytes) -> None:
    entry = tarfile.TarInfo("arf0.xml.gz")
    entry.type = kind

    found = collected(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    assert "cannot be unpacked" in cast(UnreadableArf, found.arfs[0]).reason


@pytest.mark.parametrize("size", [1 << 40, -1, -512, 8 << 30])
def test_a_member_of_an_impossible_size_is_refused(size: int) -> None:
    entry = tarfile.TarInfo("arf0.xml.gz")
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size % (1 << 95) | (1 << 95)).to_bytes(12, "big")
    if size < 0:
        header[124:136] = (size % (1 << 96)).to_bytes(12, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)

    found = collected(bytes(header) + bytes(1024))

    assert "arf0.xml.gz is cut short" in cast(UnreadableArf, found.arfs[0]).reason


def test_a_member_that_is_there_twice_is_refused() -> None:
    once = sent(arf0__xml__gz=gzip.compress(WHOLE)).rstrip(b"\0")
    padded = once + bytes(-len(once) % 512)

    found = collected(padded + padded + bytes(1024))

    assert "arf0.xml.gz is there twice" in cast(UnreadableArf, found.arfs[0]).reason


def test_one_part_that_cannot_be_read_takes_no_other_with_it() -> None:
    data = sent(arf0__xml__gz=b"junk", arf1__xml__gz=gzip.compress(WHOLE))

    found = openscap.read_parts(data, 3, SecretFilter())

    assert [type(arf) for arf, _ in found.values()] == [UnreadableArf, Arf, UnreadableArf]
    assert [packed is not None for _, packed in found.values()] == [False, True, False]


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpan.scanners.arf_reader.MAX_BYTES", 2 << 20)
    bomb = gzip.compress(WHOLE + b" " * 10_000_000)

    found = collected(sent(arf0__xml__gz=bomb))

    reason = cast(UnreadableArf, found.arfs[0]).reason
    assert reason == "the ARF arf-0.xml is longer than 2 MiB"


def test_a_password_in_an_arf_is_removed_before_it_is_read_and_packed() -> None:
    password = "correct horse battery"
    encoded = base64.b64encode(b"x" + password.encode() + b"y").decode()
    hostile = WHOLE.decode().replace("/etc/x<", f"{password} {encoded}<").encode()
    data = sent(arf0__xml__gz=gzip.compress(hostile))

    found = openscap.read_parts(data, 1, SecretFilter([password]))

    arf, packed = found["arf-0.xml"]
    assert isinstance(arf, Arf)
    assert packed is not None
    assert "filepath=[redacted] eG[redacted]" in arf.rules["one"].found[1]
    assert password.encode() not in packed.data()
    assert encoded[4:-6].encode() not in packed.data()


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


OS_RELEASE = """ID="hardpan-lab"
VERSION_ID='9.0'
PRETTY_NAME="hardpan lab"
CPE_NAME="cpe:/o:hardpan:lab:9"
"""
SAID = {
    "hostname": "lab\x1b[31m\n",
    "machine_id": "0123456789abcdef0123456789abcdef\n",
    "product_uuid": "ABCD\n",
    "os_release": OS_RELEASE,
    "fips": "1\n",
    "packages": "bash-0:5.2-1.x86_64\ngpg-pubkey-0:1-1.(none)\nacl-0:2.3-1.x86_64\n",
}


class Answering(Fake):
    """Answers a batch of questions, each with its text."""

    def __init__(self, answers: Mapping[str, str], status: str = "0") -> None:
        super().__init__()
        self._answers = answers
        self._status = status

    def run(self, command: Sequence[str] | str, **given: Any) -> Output:
        found = re.search(r"echo '([^']+)' begin", str(command))
        assert found is not None
        text = "".join(
            f"{found[1]} begin {name}\n{answer}\n{found[1]} end {name} {self._status}\n"
            for name, answer in self._answers.items()
        )
        self.answer = replace(self.answer, data=text.encode("utf-8", "surrogateescape"))
        return super().run(command, **given)


def identity(fake: Fake) -> Evidence:
    return host.HostIdentity().collect(via(fake), Task(), timeout_s=9, emit=silent)


def test_the_host_is_read_from_one_round_trip_and_its_ids_are_hidden() -> None:
    fake = Answering(SAID)

    found = identity(fake)

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


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("packages", "bash-0:5.2-1.x86_64\n\x1b[2J\n"),
        ("packages", "".join(f"p{n}-0:1-1.x\n" for n in range(50_001))),
        ("os_release", f"{OS_RELEASE}\nMARK begin os_release\n"),
        ("kernel", "6.1\nMARK end kernel 99999\n"),
    ],
)
def test_a_host_whose_answers_are_malformed_is_refused(
    name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    text = answer.replace("MARK", "@@hardpan-0")

    with pytest.raises(ToolError):
        identity(Answering({**SAID, name: text}))


def test_a_target_without_an_rpm_database_is_refused() -> None:
    with pytest.raises(ToolError, match="knows no package"):
        packages.Packages().collect(via(Fake(b"\n")), Task(), timeout_s=9, emit=silent)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"bash-0:5.2-1.x86_64\njunk\n", "a line that is no package: 'junk'"),
        (b"bash-0:5.2-1.x86_64\n\xff\n", "a line that is no package"),
        (b"bash-0:5.2-1.x86_64\0acl-0:1-1.x\n", "a line that is no package"),
        (b"bash-%d:5.2-1.x86_64\n" % 10**20, "a line that is no package"),
        (b"b" * 500_000, "a line that is no package"),
        (b"".join(b"p%d-0:1-1.x\n" % n for n in range(50_001)), "named 50001 packages"),
    ],
)
def test_what_is_no_answer_of_rpm_is_refused(answer: bytes, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        packages.Packages().collect(via(Fake(answer)), Task(), timeout_s=9, emit=silent)


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
    said = f"{mark} begin 0\none\n\n{mark} end 0 0\n{mark} begin 1\n\n{mark} end 1 5\n"
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


class Slow(Fake):
    """A target that lets each command run into its time limit; ``clock`` goes with it."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self._clock = clock

    def run(self, command: Sequence[str] | str, **given: Any) -> Output:
        self.asked.append(str(command))
        self._clock[0] += given["timeout_s"]
        raise ToolError(["x"], "did not end in time")


def test_checks_share_one_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("hardpan.clock.monotonic", lambda: clock[0])
    fake = Slow(clock)
    backend = hostfacts.OverTransport(via(fake), timeout_s=200)

    backend.ask_ahead(["a", "b"])
    for _ in range(50):
        with pytest.raises(ToolError, match="took all of their 200 s; this one could not be asked"):
            backend.run("a")

    assert clock == [200.0]
    assert len(fake.asked) == 1


def test_questions_asked_one_by_one_share_what_the_batch_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("hardpan.clock.monotonic", lambda: clock[0])
    fake = Slow(clock)
    backend = hostfacts.OverTransport(via(fake), timeout_s=200)

    for _ in range(50):
        with pytest.raises(ToolError):
            backend.run("a")

    assert clock == [200.0]
    assert len(fake.asked) == 3


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("MARK begin 0\none\nMARK begin 0\n", "holds the begin of another answer"),
        ("MARK begin 0\none\nMARK end 0 " + "9" * 5000 + "\n", "holds a damaged mark"),
        ("MARK begin 0\none\nMARK end 0 999\n", "has no exit status"),
        ("MARK begin 0\n" + "x" * 300_000 + "\nMARK end 0 0\n", "is longer than"),
        ("MARK begin 0\n" + "x" * (1 << 18) + "\n\nMARK end 0 0\n", "is longer than"),
    ],
)
def test_refused_answer_of_a_batch_is_an_error(
    said: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    fake = Fake(said.replace("MARK", "@@hardpan-0").encode())
    backend = hostfacts.OverTransport(via(fake), timeout_s=9)
    backend.ask_ahead(["a"])

    with pytest.raises(ToolError, match=problem):
        backend.run("a")

    assert len(fake.asked) == 1


def test_a_number_of_no_question_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    mark = "@@hardpan-0"
    backend = hostfacts.OverTransport(
        via(Fake(f"{mark} begin 99\nx\n{mark} end 99 0\n".encode())), timeout_s=9
    )

    backend.ask_ahead(["a"])

    assert backend._known == {}


class Shown(Answering):
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
def test_checks_of_malformed_answers_are_errors_or_fail(text: str) -> None:
    task = Task(expected=replace(EXPECTED, suid=("/x",), mounts={"/": ("rw",)}))

    found = hostfacts.HostFacts().collect(via(Shown(text)), task, timeout_s=60, emit=silent)

    outcomes = {c.name: c.outcome for c in found.checks}
    assert len(outcomes) >= 25
    assert outcomes["test_access::test_root_is_the_only_account_with_uid_zero"] == "failed"
    assert outcomes["test_services::test_the_audit_system_runs_with_rules"] in ("failed", "error")
    assert max(len(c.message) for c in found.checks) <= 400
    assert all(c.message.isprintable() for c in found.checks)


def test_a_check_that_cannot_read_an_answer_is_an_error() -> None:
    found = hostfacts.HostFacts().collect(
        via(Shown("UMASK 9\n")), Task(expected=EXPECTED), timeout_s=60, emit=silent
    )

    umask = next(c for c in found.checks if c.name.endswith("private_by_default"))
    assert umask.outcome == "error"
    assert umask.message.startswith(
        "the target's answer cannot be read: ValueError: invalid literal"
    )
