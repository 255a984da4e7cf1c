"""``hardpan scan`` under faults of the target: outcome, evidence, and nothing left behind."""

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from lxml import etree

from hardpan.cli import target_options
from hardpan.core.errors import Exit
from hardpan.core.process import run
from hardpan.scanners.collect import collection, openscap_script
from tests.integration.fault_scan import CUT, FAULT_HOST, VERDICTS, FaultBench
from tests.integration.overlay_host import PASSWORD, OverlayHost, overlay_host

pytestmark = pytest.mark.integration

ALL_IN_ERROR = dict.fromkeys(VERDICTS, "error")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    with overlay_host(tmp_path_factory.mktemp("host"), FAULT_HOST) as running:
        yield running


@pytest.fixture
def bench(
    host: OverlayHost,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> FaultBench:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return FaultBench(host, tmp_path, capsys)


OSCAP_FAILURES: Mapping[str, tuple[str, str]] = {
    "killed": ("kill -KILL $$", "oscap was killed with SIGKILL; the log of the target's kernel"),
    "crash": ("kill -SEGV $$", "oscap crashed with SIGSEGV"),
    "exit 1": ("echo 'OpenSCAP Error: bad' >&2; exit 1", "oscap failed: OpenSCAP Error: bad"),
    "exit 2 without ARF": ("exit 2", "oscap left no ARF"),
    "exit 99": ("exit 99", "oscap ended with the unknown exit status 99"),
    "work folder removed": ('rm -rf "$PWD"; exit 2', "oscap left no exit status: it was killed"),
    "cut short": (
        '"$real" "$@"; for f in arf?.xml; do truncate -s 900 $f; done; exit 2',
        "is cut short or is not XML",
    ),
    "no gzip": (
        "for n in 0 1; do echo x > arf$n.xml; cp arf$n.xml arf$n.xml.gz; done; exit 2",
        "cannot be unpacked",
    ),
    "XML bomb": (
        """for n in 0 1; do echo '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><a>&b;</a>' \
> arf$n.xml; done; exit 2""",
        "declares entities, which an ARF never does",
    ),
}


@pytest.mark.parametrize("name", OSCAP_FAILURES)
def test_failure_of_oscap_is_signed_with_everything_else(bench: FaultBench, name: str) -> None:
    fault, reason = OSCAP_FAILURES[name]
    bench.set_fault(fault)

    scan = bench.scan()

    assert scan.exit_code == Exit.TOOL
    assert scan.verdicts == ALL_IN_ERROR
    assert any(reason in text for text in scan.checks.values()), scan.checks
    assert "is not complete: " in scan.stderr
    assert len(scan.members()["packages.txt"]) > 1000
    assert "verdict: verified" in bench.verify(scan.evidence)
    bench.wait_until_clean()


def test_hung_oscap_keeps_the_results_of_the_other(
    bench: FaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(collection.TIMEOUTS_S, "openscap", 6.0)
    bench.set_fault('case " $* " in *" part1.xml "*) sleep 600 & sleep 600;; esac')

    scan = bench.scan()

    assert scan.exit_code == Exit.TOOL
    assert sorted(set(scan.verdicts.values())) == ["error", "fail", "pass"]
    assert "did not end within the time limit" in scan.checks["arf-1.xml"]
    assert "verdict: verified" in bench.verify(scan.evidence)
    bench.wait_until_clean()


@pytest.mark.parametrize("stream", ["", " >&2"], ids=["stdout", "stderr"])
def test_endless_messages_of_oscap_do_not_change_its_results(
    bench: FaultBench, stream: str
) -> None:
    bench.set_fault(f"yes '' | head -c 300000000{stream}")

    scan = bench.scan()

    assert scan.exit_code == Exit.FINDINGS
    assert scan.verdicts == VERDICTS
    bench.wait_until_clean()


@pytest.mark.parametrize("program", ["dpkg-query", "gzip", "oscap", "wc"])
def test_connection_cut_until_the_evaluation_is_unreachable(
    bench: FaultBench, program: str
) -> None:
    bench.set_fault(CUT, program)

    scan = bench.scan()

    assert scan.exit_code == Exit.UNREACHABLE, scan.stderr
    assert "error: root@127.0.0.1:" in scan.stderr
    assert "hint: check the network and the target's sshd, and scan again" in scan.stderr
    assert not scan.evidence.exists()
    bench.wait_until_clean()


@pytest.mark.parametrize(
    ("program", "failed"),
    [("openssl", {"fips", "platform", "host_signature"}), ("ssh-keygen", {"host_signature"})],
)
def test_connection_cut_after_the_evaluation_keeps_its_results(
    bench: FaultBench, program: str, failed: set[str]
) -> None:
    bench.set_fault(CUT, program)

    scan = bench.scan()

    assert scan.exit_code == Exit.TOOL
    assert scan.verdicts == VERDICTS
    errors = {name for name, text in scan.checks.items() if text.startswith("error: ")}
    assert errors == failed
    assert "verdict: verified" in bench.verify(scan.evidence)
    bench.wait_until_clean()


def test_swapped_results_never_count(bench: FaultBench) -> None:
    """Each process takes the ARF of the other, so the untouched content is evaluated."""
    bench.set_fault(
        'case " $* " in *" part1.xml "*) mine=1 other=0;; *) mine=0 other=1;; esac\n'
        '[ -e part1.xml ] || exec "$real" "$@"\n'
        '"$real" "$@"; cp arf$mine.xml ready; mv ready swap$mine\n'
        "n=0; while [ ! -e swap$other ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done\n"
        "cp swap$other arf$mine.xml; exit 2"
    )

    scan = bench.scan()

    assert scan.verdicts == VERDICTS
    assert scan.findings["usedUntouched"]
    bench.wait_until_clean()


def test_output_of_a_script_check_that_xml_forbids_loses_no_result(bench: FaultBench) -> None:
    """oscap writes it as it is, and its own ARF is then no XML."""
    text = b"red \x1b[31m\x07\x08 caf\xe9 \xef\xbf\xbe \xed\xa0\x80 ok"
    Path(f"/proc/{bench.host.pid}/root/etc/faults/message").write_bytes(text)

    scan = bench.scan()

    assert scan.exit_code == Exit.FINDINGS, scan.stderr
    assert scan.verdicts == VERDICTS
    arf = etree.fromstring(scan.members()["arf.xml"])
    imports = [e.text for e in arf.iter("{*}check-import") if e.text]
    assert imports == ["red \ufffd[31m\ufffd\ufffd caf\ufffd \ufffd \ufffd\ufffd\ufffd ok"]


HOSTILE = "\x1b[2J\x1b]0;t\x07<script>alert(1)</script>\u202e\u2066\u200b\x85\x9b7m\"'&|=cmd"


def test_hostile_text_is_sanitized_in_every_output(bench: FaultBench) -> None:
    host = bench.host
    root = Path(f"/proc/{host.pid}/root")
    (root / "etc/os-release").rename(root / "etc/os-release.bak")
    (root / "etc/os-release").write_text(
        f'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="D {HOSTILE}"\nCPE_NAME="cpe:{HOSTILE}"\n'
    )
    host.run(
        "cp /proc/sys/kernel/hostname /run/name; printf 'h\\033[2J<b>' > /proc/sys/kernel/hostname"
    )
    (root / "etc/faults/message").write_text(f"m {HOSTILE}\r\nsecond\n")
    (root / "etc/faults/text").write_text(f"{HOSTILE}\n")
    bench.set_fault("cat /etc/faults/text", "dpkg-query")
    bench.set_fault('cat /etc/faults/text /etc/faults/text >&2; [ "$8" != arf1.xml ] || exit 1')
    host.run(
        """sed -i '1a if [ "$1" = --version ]; then cat /etc/faults/text; exit; fi' """
        "/usr/local/bin/oscap"
    )
    try:
        scan = bench.scan("-v", "--log-file", bench.folder / "log")
    finally:
        host.run("cp /run/name /proc/sys/kernel/hostname; sed -i 2d /usr/local/bin/oscap")
        (root / "etc/os-release.bak").rename(root / "etc/os-release")

    verification = bench.verify(scan.evidence)
    texts = {name: data for name, data in scan.members().items() if not name.startswith("arf")}
    texts |= {"stdout": scan.stdout.encode(), "stderr": scan.stderr.encode()}
    texts |= {"log": (bench.folder / "log").read_bytes(), "verify": verification.encode()}
    unsafe = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066]")
    for name, data in texts.items():
        if name.endswith((".pdf", ".sig")):
            continue
        match = unsafe.search(data.decode("utf-8"))
        assert match is None, (name, match)
    assert b"<script>alert" not in texts["report.html"]
    assert "alert(1)" in texts["findings.json"].decode()


def test_password_is_nowhere(bench: FaultBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target sends it back in every text that it controls."""
    secret = PASSWORD.encode()
    root = Path(f"/proc/{bench.host.pid}/root")
    (root / "etc/faults/message").write_text(PASSWORD)
    (root / "etc/faults/text").write_text(f"{PASSWORD}\n")
    bench.set_fault("cat /etc/faults/text", "dpkg-query")
    bench.set_fault("cat /etc/faults/text /etc/faults/text >&2; cat /etc/faults/text")
    bench.set_fault("cat /etc/faults/text; cat /etc/faults/text >&2", "ssh-keygen")
    monkeypatch.setattr(target_options.TargetOptions, "read_sudo_password", lambda _: PASSWORD)
    seen: list[str] = []
    ended = threading.Event()
    watcher = threading.Thread(target=_watch_processes, args=(secret, seen, ended))
    watcher.start()
    try:
        scan = bench.scan("-v", "--log-file", bench.folder / "log", user="sue")
    finally:
        ended.set()
        watcher.join()

    assert scan.verdicts == VERDICTS, scan.stderr
    assert seen == []
    texts = {"stdout": scan.stdout.encode(), "stderr": scan.stderr.encode()} | scan.members()
    texts |= {str(p): p.read_bytes() for p in bench.folder.rglob("*") if p.is_file()}
    assert [name for name, data in texts.items() if secret in data] == []
    assert b"[redacted]" in texts["findings.json"]
    bench.wait_until_clean()


def _watch_processes(secret: bytes, seen: list[str], ended: threading.Event) -> None:
    """Search the arguments of all processes, those of the target included, and their variables."""
    while not ended.wait(0.02):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                data = path.read_bytes() + path.with_name("environ").read_bytes()
            except OSError:
                continue
            if secret in data:
                seen.append(data.decode("utf-8", "replace"))


def test_target_whose_clock_is_a_day_off(bench: FaultBench) -> None:
    bench.set_fault(
        '"$real" "$@"; rc=$?\n'
        's=\'s/(start-time|end-time| time)="[^"]*"/\\1="2020-02-03T04:05:06"/g\'\n'
        'for n in 0 1; do [ ! -e arf$n.xml ] || sed -i -E "$s" arf$n.xml; done; exit $rc'
    )
    bench.set_fault('exec "$real" -d "1 day" "$@"', "date")

    scan = bench.scan()

    assert scan.exit_code == Exit.FINDINGS
    assert scan.findings["started"] > "2026"
    assert 86_390 <= scan.findings["host"]["clockDifferenceS"] <= 86_410
    assert re.search("warning: the target's clock is 86[34][0-9]{2} s", scan.stderr)
    assert "clock" in scan.stdout
    assert "verdict: verified" in bench.verify(scan.evidence)


def test_full_disk_of_the_target_is_signed_with_everything_else(
    bench: FaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openscap_script, "_ARF_KIB", 1 << 30)

    scan = bench.scan()

    assert scan.exit_code == Exit.TOOL
    assert scan.verdicts == ALL_IN_ERROR
    assert "oscap has no usable work folder on root@127.0.0.1" in scan.checks["openscap"]
    assert "free some space in /var/lib, /root or /run" in scan.checks["openscap"]
    assert "verdict: verified" in bench.verify(scan.evidence)
    bench.wait_until_clean()


def test_disk_that_fills_up_during_the_evaluation(bench: FaultBench) -> None:
    bench.set_fault(
        'case " $* " in *" part1.xml "*) n=1;; *) n=0;; esac\n'
        "mkdir small$n; mount -t tmpfs -o size=16k tmpfs small$n; "
        'ln -s small$n/arf$n.xml arf$n.xml; "$real" "$@"; rc=$?; umount small$n; exit $rc'
    )

    scan = bench.scan()

    assert scan.exit_code == Exit.TOOL
    assert scan.verdicts == ALL_IN_ERROR
    bench.wait_until_clean()


@pytest.mark.parametrize("required_mib", [32, 0])
def test_full_disk_of_this_side_leaves_no_part_of_the_evidence(
    bench: FaultBench, monkeypatch: pytest.MonkeyPatch, required_mib: int
) -> None:
    """With 0, it is noticed when the evidence is written."""
    monkeypatch.setattr("hardpan.cli.scan._EVIDENCE_MIB", required_mib)
    folder = bench.folder / "small"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], timeout_s=20)
    try:
        scan = bench.scan("-o", folder / "x.evidence.zip")
        names = [p.name for p in folder.iterdir()]
    finally:
        run(["umount", folder], timeout_s=20)

    assert scan.exit_code == Exit.TOOL, scan.stderr
    assert "hint: free some space" in scan.stderr
    assert names == []
    bench.wait_until_clean()
