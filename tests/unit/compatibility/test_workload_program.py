"""The program's own reading of a host, on texts as hosts give them."""

import datetime
import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.scanners.collect.workload.compatibility import (
    confinement,
    facts,
    host,
    kernel,
    native,
    packages,
    probes,
    session,
    tools,
)

FakeFiles = Callable[[dict[str, str]], None]


@pytest.fixture
def fake_files(monkeypatch: pytest.MonkeyPatch) -> FakeFiles:
    """Makes the program see these files and no others."""

    def install(output: dict[str, str]) -> None:
        def read(path: str, max_bytes: int = tools.MAX_BYTES) -> str | None:
            return output[path][:max_bytes] if path in output else None

        for module in (tools, facts, host, kernel):
            monkeypatch.setattr(module, "read", read)
        monkeypatch.setattr(
            host.glob, "glob", lambda p: sorted(n for n in output if Path(n).match(p))
        )

    return install


@pytest.mark.parametrize(
    ("files", "result"),
    [
        ({}, ("not_tested", "no logs in /var/log/anaconda")),
        ({"/var/log/anaconda/syslog": "Command line: a fips=1"}, ("satisfied", "fips=1 in syslog")),
        (
            {"/usr/lib/hardpan/installer-command-line": "Command line: a fips=1\n"},
            ("satisfied", "fips=1 in installer-command-line"),
        ),
        (
            {"/usr/lib/hardpan/installer-command-line": "Command line: a fips=10\n"},
            ("violated", "no fips=1 in the installer's logs"),
        ),
    ],
)
def test_installer_fips_mode_is_read_from_logs_or_stored_command_line(
    fake_files: FakeFiles, files: dict[str, str], result: tuple[str, str]
) -> None:
    fake_files(files)

    assert kernel.check_installer_fips_mode() == result


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="its code is not known")
def test_generated_shared_object_loads_and_answers(tmp_path: Path) -> None:
    assert native.check_loads_from(str(tmp_path)) == (
        "satisfied",
        f"{tmp_path}: it loads and answers 42",
    )
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_not_tested(tmp_path: Path) -> None:
    assert native.check_loads_from(str(tmp_path / "none"))[0] == "not_tested"


def test_unsupported_machine_has_no_shared_object() -> None:
    assert native.build_shared_object("s390x") is None
    for machine in ("x86_64", "aarch64"):
        assert (native.build_shared_object(machine) or b"").startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ([("satisfied", "a"), ("satisfied", "b")], "satisfied"),
        ([("satisfied", "a"), ("violated", "b"), ("not_tested", "c")], "violated"),
        ([("not_tested", "a"), ("error", "b")], "error"),
        ([("not_tested", "a"), ("not_applicable", "b")], "not_applicable"),
        ([("satisfied", "a"), ("not_tested", "b")], "not_tested"),
    ],
)
def test_combined_outcome_is_the_worst(results: list[tuple[str, str]], outcome: str) -> None:
    assert tools.combine(*results)[0] == outcome


def test_output_is_sanitized_to_a_single_line() -> None:
    assert tools.sanitize_line("a\n\tb\x1b[2J") == "a b?[2J"
    assert len(tools.sanitize_line("x" * 9000)) == tools.MAX_TEXT_CHARS


MOUNTS = """\
/dev/mapper/vg0-root / xfs rw,relatime 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0
/dev/mapper/vg0-tmp /tmp xfs rw,nosuid,nodev,noexec 0 0
/dev/mapper/vg0-x /tmp\\040two xfs rw 0 0
tmpfs /tmp tmpfs rw,nosuid 0 0
"""


@pytest.mark.parametrize(
    ("path", "outcome", "observed"),
    [
        ("/dev/shm", "satisfied", "/dev/shm is on /dev/shm (rw,nosuid,nodev,noexec)"),
        ("/var/tmp", "violated", "/var/tmp is on / (rw,relatime)"),
        ("/tmp", "violated", "/tmp is on /tmp (rw,nosuid)"),  # the later mount hides the first
        ("/tmp two", "violated", "/tmp two is on /tmp two (rw)"),
    ],
)
def test_noexec_is_read_from_the_topmost_mount(
    fake_files: FakeFiles, path: str, outcome: str, observed: str
) -> None:
    fake_files({"/proc/mounts": MOUNTS})

    assert facts.check_noexec(path) == (outcome, observed)


def test_missing_mounts_are_not_tested(fake_files: FakeFiles) -> None:
    fake_files({})

    assert facts.check_noexec("/tmp")[0] == "not_tested"
    assert facts.read_kernel_arguments() == []


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000   991 0 1
   1: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000   992 0 1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 1
   3: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000   991 0 1
"""
TCP6 = """\
  sl  local_address remote_address st
   0: 00000000000000000000000001000000:1F91 0:0 0A 0:0 0:0 0 991 0 1
   1: 00000000000000000000000000000000:1F93 0:0 0A 0:0 0:0 0 991 0 1
"""


def test_listeners_of_ai_users_are_local_or_open(fake_files: FakeFiles) -> None:
    fake_files({"/proc/net/tcp": TCP, "/proc/net/tcp6": TCP6})

    assert facts.list_listeners([991, 992]) == ["local 8081", "open 8082", "open 8083"]
    assert facts.list_listeners([]) == []


SHIPPED_RULES = """\
allow perm=open all : ftype=text/plain
deny_audit perm=execute all : all
allow perm=open all : all
deny_audit perm=any all : all
"""


@pytest.mark.parametrize(
    ("rules", "outcome", "observed"),
    [
        (
            SHIPPED_RULES,
            "satisfied",
            "rule 3 allows every open, so later ones are not reached for that",
        ),
        (
            "deny perm=execute all : all\nallow perm=open all : all\n",
            "violated",
            "does not deny all",
        ),
        (
            "allow perm=any all : all\ndeny perm=execute all : all\ndeny perm=any all : all\n",
            "violated",
            "3 rules",
        ),
        ("# none\n", "violated", "0 rules"),
    ],
)
def test_fapolicyd_rules_are_evaluated_in_order(
    fake_files: FakeFiles, rules: str, outcome: str, observed: str
) -> None:
    fake_files({"/etc/fapolicyd/compiled.rules": rules})

    assert host.check_fapolicyd_rules()[0] == outcome
    assert observed in host.check_fapolicyd_rules()[1]


DNF = "[main]\ngpgcheck=1\nlocalpkg_gpgcheck = True\n"


@pytest.mark.parametrize(
    ("dnf", "repo", "outcome", "observed"),
    [
        (DNF, "[a]\nbaseurl=file:///x\n", "satisfied", "without a check: none"),
        (DNF, "[a]\ngpgcheck=1\n[b]\ngpgcheck=0\nenabled=0\n", "violated", "v.repo: b"),
        (
            "[main]\nlocalpkg_gpgcheck=1\n",
            "[a]\nbaseurl=x\n",
            "violated",
            "dnf.conf: gpgcheck, v.re",
        ),
        ("[main]\ngpgcheck=1\n", "", "violated", "dnf.conf: localpkg_gpgcheck"),
        ("", "[a]\ngpgcheck=YES\n", "violated", "dnf.conf: gpgcheck, dnf.conf: localpkg_gpgcheck"),
    ],
)
def test_repository_without_gpgcheck_violates(
    fake_files: FakeFiles, dnf: str, repo: str, outcome: str, observed: str
) -> None:
    fake_files({"/etc/dnf/dnf.conf": dnf, "/etc/yum.repos.d/v.repo": repo})

    assert host.check_gpgcheck()[0] == outcome
    assert observed in host.check_gpgcheck()[1]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("* - memlock unlimited", "violated"),
        ("*  hard  memlock  -1", "violated"),
        ("@rdma - memlock unlimited", "satisfied"),
        ("# * - memlock unlimited", "satisfied"),
        ("* hard memlock 64", "satisfied"),
    ],
)
def test_unlimited_memlock_for_everybody_violates(
    fake_files: FakeFiles, line: str, outcome: str
) -> None:
    fake_files({"/etc/security/limits.conf": "", "/etc/security/limits.d/x.conf": line + "\n"})

    assert host.check_memlock_limits()[0] == outcome


@pytest.mark.parametrize(
    ("release", "outcome", "observed"),
    [
        ('ID="rocky"\nVERSION_ID="9.8"\n', "satisfied", "Rocky Linux 9.8: supported"),
        ('ID="rocky"\nVERSION_ID="9.6"\n', "violated", "superseded by 9.8"),
        ('ID="rocky"\nVERSION_ID="8.10"\n', "violated", "not a known release"),
        ("ID=hardpan-lab\nVERSION_ID=9\n", "not_applicable", "not Rocky Linux"),
    ],
)
def test_release_support_state_is_reported(
    fake_files: FakeFiles, release: str, outcome: str, observed: str
) -> None:
    fake_files({"/etc/os-release": release})

    assert host.check_release()[0] == outcome
    assert observed in host.check_release()[1]


UNIT_SETTINGS = {
    "LoadState": ["loaded"],
    "User": ["ai-llm"],
    "Group": ["ai"],
    "ProtectSystem": ["strict"],
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "RestrictAddressFamilies": ["~"],
    "DeviceAllow": ["char-nvidia-frontend rw", "/dev/kfd rw", "odd"],
    "EnvironmentFiles": ["/etc/hardpan/ai.env (ignore_errors=no)"],
    "Environment": ['A=1 "B=two words"'],
    "RuntimeDirectory": ["hardpan"],
    "ExecStart": ["{ path=/x ; argv[]=/x }"],
}


def test_confinement_copies_the_unit_settings() -> None:
    service_confinement = confinement.Confinement({"hardpan-llm.service": UNIT_SETTINGS})
    name, argv = service_confinement.build_command("/usr/bin/python3", "pass", 60)

    assert (service_confinement.unit, service_confinement.user) == ("hardpan-llm.service", "ai-llm")
    assert argv[-3:] == ["/usr/bin/python3", "-c", "pass"]
    assert f"--unit={name}" in argv
    for argument in ("User=ai-llm", "Group=ai", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert argv[argv.index(argument) - 1] == "-p"
    assert {"--setenv=A=1", "--setenv=B=two words"} <= set(argv)
    assert "EnvironmentFile=-/etc/hardpan/ai.env" in argv
    command_line = " ".join(argv)
    # A runtime folder would be removed with our unit, under the service's feet.
    for absent_argument in (
        "RuntimeDirectory",
        "ExecStart",
        "odd",
        "RestrictAddress",
        "AmbientCap",
    ):
        assert absent_argument not in command_line
    assert "of hardpan-llm.service; user ai-llm" in service_confinement.describe()


def test_widened_setting_is_described() -> None:
    narrow = {**UNIT_SETTINGS, "RestrictAddressFamilies": ["AF_UNIX AF_INET"]}
    service_confinement = confinement.Confinement({"hardpan-llm.service": narrow})

    assert (
        "RestrictAddressFamilies",
        "AF_UNIX AF_INET AF_NETLINK",
    ) in service_confinement.properties
    assert "AF_NETLINK added" in service_confinement.describe()
    assert (
        "AF_NETLINK added"
        not in confinement.Confinement({"hardpan-llm.service": UNIT_SETTINGS}).describe()
    )


def test_default_confinement_is_described_as_default() -> None:
    service_confinement = confinement.Confinement(
        {"hardpan-llm.service": {"LoadState": ["not-found"]}}
    )

    assert service_confinement.unit == ""
    assert service_confinement.user == "ai"
    assert ("NoNewPrivileges", "yes") in service_confinement.properties
    assert "hardpan's default" in service_confinement.describe()


RECORD = """\
fastapi/__init__.py,sha256=x,1
fastapi/routing.py,sha256=x,1
six.py,,
_private.py,,
tests/__init__.py,,
yaml/_yaml.so,,
numpy.libs/libx.so,,
native.abi3.so,,
../../bin/tool,,
"odd,name.py",,
"""


def test_top_level_packages_come_from_records(tmp_path: Path) -> None:
    site = tmp_path / "python3.12/site-packages"
    (site / "x-1.dist-info").mkdir(parents=True)
    (site / "x-1.dist-info/RECORD").write_text(RECORD)
    (site / "y-1.dist-info").mkdir()

    assert packages.list_top_level(str(tmp_path)) == ["fastapi", "native", "six"]


def test_readable_probe_lines_are_parsed() -> None:
    lines = [json.dumps({"name": "jit", "result": ["satisfied", "x"]}), "noise", '{"name": 1}', "{"]

    assert probes.parse_output("\n".join(lines)) == {"jit": ("satisfied", "x")}


def test_exception_in_a_probe_is_an_error() -> None:
    def failing_probe() -> tuple[str, str]:
        raise LookupError("gone")

    assert probes.run_guarded(failing_probe) == ("error", "LookupError: gone")


@pytest.mark.parametrize(
    ("stacks", "chosen"),
    [
        ({}, "/usr/bin/python3"),
        ({"serving": "false", "chat": "false"}, "/usr/bin/python3"),
        ({"chat": "true", "serving": "true"}, "serving/bin/python"),
        ({"serving": "true", "train": "own"}, "train/bin/python"),
        ({"serving": "false", "chat": "true"}, "chat/bin/python"),
    ],
)
def test_python_with_torch_is_selected(tmp_path: Path, stacks: dict[str, str], chosen: str) -> None:
    for name, layout in stacks.items():
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/python").touch()
        text = f"include-system-site-packages = {layout}\n"
        (tmp_path / name / "pyvenv.cfg").write_text(text)
        if layout == "own":
            (tmp_path / name / "lib/python3.12/site-packages/torch").mkdir(parents=True)
    paths = session.list_pythons(str(tmp_path))

    assert session.select_torch_python(paths).endswith(chosen)
    assert len(paths) == len(stacks)
    assert [p for p in paths if "/serving/" in p] == [p for p in paths[:1] if "/serving/" in p]


def test_selinux_denials_are_read_from_the_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --input-logs, ausearch reads the pipe that is its standard input: no denial ever."""
    argvs: list[list[str]] = []

    def answer(argv: list[str], timeout_s: float) -> tuple[int, str]:
        argvs.append(argv)
        return 0, "type=AVC msg=audit(1.0:1): avc:  denied  { read } for  pid=1\n"

    monkeypatch.setattr(kernel, "read", lambda *_: "1")
    monkeypatch.setattr(kernel, "run", answer)

    state, summary = kernel.check_selinux_denials(datetime.datetime(2026, 11, 30))  # noqa: DTZ001

    assert (state, summary.partition(":")[0]) == ("violated", "1 denials")
    assert "--input-logs" in argvs[0]
