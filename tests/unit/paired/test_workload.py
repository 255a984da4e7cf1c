"""The program's own reading of a host, on texts as hosts give them."""

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.scanners.collect.workload.paired import (
    confined,
    facts,
    host,
    kernel,
    main,
    native,
    packages,
    probes,
    tools,
)

Put = Callable[[dict[str, str]], None]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Makes the program see these files and no others."""

    def put(told: dict[str, str]) -> None:
        def read(path: str, most: int = tools.MOST_BYTES) -> str | None:
            return told[path][:most] if path in told else None

        for module in (tools, facts, host, kernel):
            monkeypatch.setattr(module, "read", read)
        monkeypatch.setattr(
            host.glob, "glob", lambda p: sorted(n for n in told if Path(n).match(p))
        )

    return put


@pytest.mark.parametrize(
    ("told", "half"),
    [
        ({}, ("not_asked", "no logs in /var/log/anaconda")),
        ({"/var/log/anaconda/syslog": "Command line: a fips=1"}, ("holds", "fips=1 in syslog")),
        (
            {"/usr/lib/hardpan/installer-command-line": "Command line: a fips=1\n"},
            ("holds", "fips=1 in installer-command-line"),
        ),
        (
            {"/usr/lib/hardpan/installer-command-line": "Command line: a fips=10\n"},
            ("broken", "no fips=1 in the installer's logs"),
        ),
    ],
)
def test_fips_mode_of_the_install_is_read_from_logs_or_what_a_sealed_image_keeps(
    files: Put, told: dict[str, str], half: tuple[str, str]
) -> None:
    files(told)

    assert kernel.installed_in_fips_mode() == half


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="its code is not known")
def test_a_shared_object_made_at_run_time_loads_and_answers(tmp_path: Path) -> None:
    assert native.loads_from(str(tmp_path)) == ("holds", f"{tmp_path}: it loads and answers 42")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_no_answer(tmp_path: Path) -> None:
    assert native.loads_from(str(tmp_path / "none"))[0] == "not_asked"


def test_a_machine_whose_code_is_not_known_is_no_answer() -> None:
    assert native.shared_object("s390x") is None
    for machine in ("x86_64", "aarch64"):
        assert (native.shared_object(machine) or b"").startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("halves", "outcome"),
    [
        ([("holds", "a"), ("holds", "b")], "holds"),
        ([("holds", "a"), ("broken", "b"), ("not_asked", "c")], "broken"),
        ([("not_asked", "a"), ("error", "b")], "error"),
        ([("not_asked", "a"), ("not_applicable", "b")], "not_applicable"),
        ([("holds", "a"), ("not_asked", "b")], "not_asked"),
    ],
)
def test_several_looks_are_as_good_as_the_worst(
    halves: list[tuple[str, str]], outcome: str
) -> None:
    assert tools.both(*halves)[0] == outcome


def test_said_is_one_harmless_line() -> None:
    assert tools.said("a\n\tb\x1b[2J") == "a b?[2J"
    assert len(tools.said("x" * 9000)) == tools.MOST_TEXT


MOUNTS = """\
/dev/mapper/vg0-root / xfs rw,relatime 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0
/dev/mapper/vg0-tmp /tmp xfs rw,nosuid,nodev,noexec 0 0
/dev/mapper/vg0-x /tmp\\040two xfs rw 0 0
tmpfs /tmp tmpfs rw,nosuid 0 0
"""


@pytest.mark.parametrize(
    ("path", "outcome", "found"),
    [
        ("/dev/shm", "holds", "/dev/shm lies on /dev/shm (rw,nosuid,nodev,noexec)"),
        ("/var/tmp", "broken", "/var/tmp lies on / (rw,relatime)"),
        ("/tmp", "broken", "/tmp lies on /tmp (rw,nosuid)"),  # the later mount hides the first
        ("/tmp two", "broken", "/tmp two lies on /tmp two (rw)"),
    ],
)
def test_noexec_is_that_of_the_mount_on_top(
    files: Put, path: str, outcome: str, found: str
) -> None:
    files({"/proc/mounts": MOUNTS})

    assert facts.noexec(path) == (outcome, found)


def test_without_mounts_nothing_is_known(files: Put) -> None:
    files({})

    assert facts.noexec("/tmp")[0] == "not_asked"
    assert facts.arguments() == []


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


def test_only_listeners_of_the_ai_users_count_and_the_loopback_is_told(files: Put) -> None:
    files({"/proc/net/tcp": TCP, "/proc/net/tcp6": TCP6})

    assert facts.listening([991, 992]) == ["local 8081", "open 8082", "open 8083"]
    assert facts.listening([]) == []


SHIPPED = """\
allow perm=open all : ftype=text/plain
deny_audit perm=execute all : all
allow perm=open all : all
deny_audit perm=any all : all
"""


@pytest.mark.parametrize(
    ("rules", "outcome", "found"),
    [
        (
            SHIPPED,
            "holds",
            "rule 3 allows every open, so later ones are not reached for that",
        ),
        ("deny perm=execute all : all\nallow perm=open all : all\n", "broken", "does not deny all"),
        (
            "allow perm=any all : all\ndeny perm=execute all : all\ndeny perm=any all : all\n",
            "broken",
            "3 rules",
        ),
        ("# none\n", "broken", "0 rules"),
    ],
)
def test_fapolicyds_rules_are_read_in_their_order(
    files: Put, rules: str, outcome: str, found: str
) -> None:
    files({"/etc/fapolicyd/compiled.rules": rules})

    assert host.fapolicyd_rules()[0] == outcome
    assert found in host.fapolicyd_rules()[1]


DNF = "[main]\ngpgcheck=1\nlocalpkg_gpgcheck = True\n"


@pytest.mark.parametrize(
    ("dnf", "repo", "outcome", "found"),
    [
        (DNF, "[a]\nbaseurl=file:///x\n", "holds", "without a check: none"),
        (DNF, "[a]\ngpgcheck=1\n[b]\ngpgcheck=0\nenabled=0\n", "broken", "v.repo: b"),
        ("[main]\nlocalpkg_gpgcheck=1\n", "[a]\nbaseurl=x\n", "broken", "dnf.conf: gpgcheck, v.re"),
        ("[main]\ngpgcheck=1\n", "", "broken", "dnf.conf: localpkg_gpgcheck"),
        ("", "[a]\ngpgcheck=YES\n", "broken", "dnf.conf: gpgcheck, dnf.conf: localpkg_gpgcheck"),
    ],
)
def test_one_repository_without_a_check_is_enough(
    files: Put, dnf: str, repo: str, outcome: str, found: str
) -> None:
    files({"/etc/dnf/dnf.conf": dnf, "/etc/yum.repos.d/v.repo": repo})

    assert host.gpgcheck()[0] == outcome
    assert found in host.gpgcheck()[1]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("* - memlock unlimited", "broken"),
        ("*  hard  memlock  -1", "broken"),
        ("@rdma - memlock unlimited", "holds"),
        ("# * - memlock unlimited", "holds"),
        ("* hard memlock 64", "holds"),
    ],
)
def test_unlimited_locked_memory_is_for_no_everybody(files: Put, line: str, outcome: str) -> None:
    files({"/etc/security/limits.conf": "", "/etc/security/limits.d/x.conf": line + "\n"})

    assert host.memlock_of_users()[0] == outcome


@pytest.mark.parametrize(
    ("release", "outcome", "found"),
    [
        ('ID="rocky"\nVERSION_ID="9.8"\n', "holds", "Rocky Linux 9.8: supported"),
        ('ID="rocky"\nVERSION_ID="9.6"\n', "broken", "superseded by 9.8"),
        ('ID="rocky"\nVERSION_ID="8.10"\n', "broken", "not a release that is known"),
        ("ID=hardpan-lab\nVERSION_ID=9\n", "not_applicable", "not Rocky Linux"),
    ],
)
def test_a_release_is_supported_or_says_why_not(
    files: Put, release: str, outcome: str, found: str
) -> None:
    files({"/etc/os-release": release})

    assert host.release()[0] == outcome
    assert found in host.release()[1]


SHOWN = {
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


def test_the_units_own_confinement_is_taken_over() -> None:
    how = confined.Confinement({"hardpan-llm.service": SHOWN})
    name, argv = how.command("/usr/bin/python3", "pass", 60)

    assert (how.unit, how.user) == ("hardpan-llm.service", "ai-llm")
    assert argv[-3:] == ["/usr/bin/python3", "-c", "pass"]
    assert f"--unit={name}" in argv
    for wanted in ("User=ai-llm", "Group=ai", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert argv[argv.index(wanted) - 1] == "-p"
    assert {"--setenv=A=1", "--setenv=B=two words"} <= set(argv)
    assert "EnvironmentFile=-/etc/hardpan/ai.env" in argv
    told = " ".join(argv)
    # A runtime folder would be removed with our unit, under the service's feet.
    for unwanted in ("RuntimeDirectory", "ExecStart", "odd", "RestrictAddress", "AmbientCap"):
        assert unwanted not in told
    assert "of hardpan-llm.service; user ai-llm" in how.told()


def test_the_one_setting_that_is_widened_is_told() -> None:
    narrow = {**SHOWN, "RestrictAddressFamilies": ["AF_UNIX AF_INET"]}
    how = confined.Confinement({"hardpan-llm.service": narrow})

    assert ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_NETLINK") in how.properties
    assert "AF_NETLINK added" in how.told()
    assert "AF_NETLINK added" not in confined.Confinement({"hardpan-llm.service": SHOWN}).told()


def test_without_the_unit_a_default_confinement_is_named_as_one() -> None:
    how = confined.Confinement({"hardpan-llm.service": {"LoadState": ["not-found"]}})

    assert how.unit == ""
    assert how.user == "ai"
    assert ("NoNewPrivileges", "yes") in how.properties
    assert "hardpan's default" in how.told()


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


def test_a_stacks_packages_come_from_their_own_records(tmp_path: Path) -> None:
    site = tmp_path / "python3.12/site-packages"
    (site / "x-1.dist-info").mkdir(parents=True)
    (site / "x-1.dist-info/RECORD").write_text(RECORD)
    (site / "y-1.dist-info").mkdir()

    assert packages.top_level(str(tmp_path)) == ["fastapi", "native", "six"]


def test_what_probes_print_is_read_as_far_as_it_goes() -> None:
    lines = [json.dumps({"name": "jit", "half": ["holds", "x"]}), "noise", '{"name": 1}', "{"]

    assert probes.told("\n".join(lines)) == {"jit": ("holds", "x")}


def test_what_goes_wrong_in_a_probe_is_its_error() -> None:
    def wrong() -> tuple[str, str]:
        raise LookupError("gone")

    assert probes.guarded(wrong) == ("error", "LookupError: gone")


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
def test_torch_is_asked_of_a_python_that_can_have_it(
    tmp_path: Path, stacks: dict[str, str], chosen: str
) -> None:
    for name, seen in stacks.items():
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/python").touch()
        text = f"include-system-site-packages = {seen}\n"
        (tmp_path / name / "pyvenv.cfg").write_text(text)
        if seen == "own":
            (tmp_path / name / "lib/python3.12/site-packages/torch").mkdir(parents=True)
    found = main.pythons(str(tmp_path))

    assert main.with_torch(found).endswith(chosen)
    assert len(found) == len(stacks)
    assert [p for p in found if "/serving/" in p] == [p for p in found[:1] if "/serving/" in p]
