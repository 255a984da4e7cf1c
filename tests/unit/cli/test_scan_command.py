"""``hardpan scan`` without options: the default key, and the command that it prints."""

import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from hardpan import cli
from hardpan.core import clock
from hardpan.core.errors import Exit, UnreachableError
from hardpan.scanners.evidence import signing_options
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.scan_request import ScanRequest
from tests.unit.cli.replaced_scan import replace_scan
from tests.unit.evidence import samples


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ScanRequest]:
    """The requests of scans of a host that is not there."""
    received: list[ScanRequest] = []

    def scan(request: ScanRequest, _emit: object) -> Scan:
        received.append(request)
        now = clock.format_rfc3339(clock.now())
        check = HostCheck(
            name="collect::smoke",
            outcome="error" if "smoke" in request.required else "not_checked",
            message="PyTorch is not installed; install it",
            duration_s=0,
        )
        return samples.scan(started=now, finished=now, profile="stig", checks=(check,), smoke=None)

    replace_scan(monkeypatch, scan)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return received


def test_first_scan_creates_a_key_and_prints_a_command_that_verifies(
    requests: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["scan", "root@lab", "-q"]) == Exit.FINDINGS
    output = capsys.readouterr()
    lines = output.out.splitlines()
    (folder,) = Path("data").rglob("keys")

    assert requests[0].plan.xccdf_profile == ""
    assert output.err.splitlines() == [
        f"created the scan key {folder.absolute()}/scan.pem",
        f"created the trust policy {folder.absolute()}/scan-trust.yaml",
        f"give the policy and {folder.absolute()}/scan.pub to those who verify the evidence",
    ]
    assert "not checked  smoke: PyTorch is not installed; install it" in lines
    assert lines[-4] == f"key: {folder.absolute()}/scan.pem"
    assert lines[-3].startswith("evidence: lab-stig-")
    for line, label in zip(lines[-2:], ("report: ", "verify: "), strict=True):
        assert cli.run(shlex.split(line.removeprefix(label))[1:]) == Exit.OK
    assert Path("report.html").read_text("utf-8").startswith("<!")


def test_second_scan_uses_the_same_key_without_a_message(
    requests: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("first.evidence.zip", "second.evidence.zip")
    for name in names:
        assert cli.run(["scan", "root@lab", "-q", "--json", "-o", name]) == Exit.FINDINGS
    output = capsys.readouterr()
    first, second = map(json.loads, output.out.splitlines())

    assert len(requests) == len(names)
    assert output.err.count("created the scan key") == 1
    assert Path("first.pub").read_bytes() == Path("second.pub").read_bytes()
    assert first["verify"].replace("first", "second") == second["verify"]


def test_required_part_without_results_is_exit_code_4(
    requests: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["scan", "root@lab", "-q", "--require", "smoke, packages"]) == Exit.TOOL
    assert requests[0].required == {"smoke", "packages"}
    assert "is not complete: smoke: PyTorch is not installed" in capsys.readouterr().err


def test_unknown_required_part_is_a_usage_error(
    requests: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["scan", "root@lab", "--require", "smoke,openscap"]) == Exit.USAGE
    assert requests == []
    assert "got 'openscap'" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_an_error_before_the_scan(
    requests: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()

    assert cli.run(["scan", "root@lab", "-q", "-o", "file/x.evidence.zip"]) == Exit.INPUT
    assert "expected a folder, got the file" in capsys.readouterr().err
    assert requests == []


def test_output_in_a_new_folder_is_written(requests: list[ScanRequest]) -> None:
    assert cli.run(["scan", "root@lab", "-q", "-o", "new/x.evidence.zip"]) == Exit.FINDINGS
    assert Path("new/x.evidence.zip").is_file()


def test_evidence_without_the_requested_timestamp_is_written(
    requests: list[ScanRequest],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def request_timestamp(*_: object) -> bytes:
        raise UnreachableError("tsa.example: does not answer")

    monkeypatch.setattr(signing_options, "request_timestamp", request_timestamp)
    options = ["-o", "x.evidence.zip", "--timestamp", "http://tsa.example/"]

    assert cli.run(["scan", "root@lab", "-q", *options]) == Exit.UNREACHABLE
    output = capsys.readouterr()
    assert "tsa.example: does not answer" in output.err
    assert "x.evidence.zip was written without a timestamp" in output.err
    (policy,) = Path("data").rglob("scan-trust.yaml")
    assert cli.run(["verify", "x.evidence.zip", "--policy", str(policy)]) == Exit.OK


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan", "root@lab", "--no-smoke", "--require", "smoke"], "--no-smoke: expected no --re"),
        (["scan", "root@lab", "--cloud-init"], "--cloud-init: expected a target image:"),
        (["scan", "root@lab", "--nonce", "a\nboot b"], "expected at most 256 printable ASCII"),
        (["scan", "root@lab", "--nonce", "n" * 257], "expected at most 256 printable ASCII"),
        (["scan", "local:", "--transport", "openssh"], "--transport: expected no SSH option"),
        (["content", "list", "rhel9", "--content", "x.xml"], "expected no PRODUCT with a file"),
        (["scan", "root@lab", "--engine", "ocil"], "'ocil' is not one of 'oval', 'sce'"),
        (["smoke", "local:", "--identity", "key"], "local: expected no SSH option"),
    ],
)
def test_contradictory_or_invalid_options_are_a_usage_error(
    requests: list[ScanRequest],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert cli.run(arguments) == Exit.USAGE
    assert message in capsys.readouterr().err
    assert requests == []
    assert not Path("data").exists()


def test_full_disk_ends_the_scan_before_it_starts(
    requests: list[ScanRequest],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = SimpleNamespace(free=(32 << 20) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    assert cli.run(["scan", "root@lab", "-q"]) == Exit.TOOL
    assert "the evidence needs 32 MiB in ., 31 MiB are free" in capsys.readouterr().err
    assert requests == []
