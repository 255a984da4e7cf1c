"""OpenSCAP on targets that lack programs, rights, space or mounts that permit execution."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, ToolError
from hardpan.core.events import discard
from hardpan.core.process import run
from hardpan.scanners.collect.base import CollectedEvidence, CollectTask
from hardpan.scanners.collect.openscap import OpenScap
from hardpan.scanners.collect.openscap_packages import PushedPackage, load_packages
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.openscap.arf.results import Arf
from hardpan.ssh.client import connect
from tests.integration.el_host import el_host_spec
from tests.integration.overlay_host import (
    PASSWORD,
    HostSpec,
    HostUser,
    OverlayHost,
    overlay_host,
)
from tests.integration.tiny_content import TINY_DATA_STREAM, TINY_PROFILE

pytestmark = pytest.mark.integration

VERDICTS = {"one": "pass", "two": "fail", "script": "pass"}
NOEXEC = dict.fromkeys(("/tmp", "/var/tmp", "/home", "/dev/shm"), "noexec,size=64m")
FOLDERS = "/var/lib /var/tmp /root /home/* /opt /run /dev/shm /tmp"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedContent:
    path = tmp_path_factory.mktemp("content") / "tiny-ds.xml"
    path.write_text(TINY_DATA_STREAM)
    return prepare(datastream.find("rhel9", path), TINY_PROFILE, part_count=1)


def evaluate(
    host: OverlayHost,
    prepared: PreparedContent,
    user: str = "root",
    password: str = "",
    packages: tuple[PushedPackage, ...] = (),
) -> CollectedEvidence:
    task = CollectTask(prepared=prepared, openscap_packages=packages)
    with connect(host.target(user), timeout_s=20, sudo_password=password) as connection:
        return OpenScap().collect(connection, task, timeout_s=60, emit=discard)


def verdicts(evidence: CollectedEvidence) -> dict[str, str]:
    (arf,) = evidence.arfs
    assert isinstance(arf, Arf), arf.reason
    return {name.rpartition("_rule_")[2]: rule.verdict for name, rule in arf.rules.items()}


def leftovers(host: OverlayHost) -> list[str]:
    """Return what a scan left, without what another test has on this machine itself."""
    folders = " ".join(f"{path}/hardpan-scan.*" for path in FOLDERS.split())
    names = host.run(f"ls -d {folders} /tmp/oscap.* 2>/dev/null; true").stdout.split()
    return [name for name in names if not Path(name).exists()]


def wait_until_removed(host: OverlayHost) -> None:
    for _ in range(150):
        if not leftovers(host):
            return
        time.sleep(0.1)
    raise AssertionError(f"not removed: {leftovers(host)}; {host.process_names()}")


HOSTS: Mapping[str, tuple[HostSpec, str, str]] = {
    "EL shape": (el_host_spec(), "root", ""),
    "no helper": (
        el_host_spec(
            removed=("findmnt", "pkill", "gzip", "awk", "gawk", "mawk", "oscap-run-sce-script")
        ),
        "root",
        "",
    ),
    "noexec": (el_host_spec(tmpfs=NOEXEC, removed=("oscap-run-sce-script",)), "root", ""),
    "read-only root": (
        el_host_spec(
            is_root_read_only=True,
            tmpfs={"/var/tmp": "ro", "/root": "ro", "/dev/shm": "ro", "/run": "size=64m"},
        ),
        "root",
        "",
    ),
    "requiretty": (
        HostSpec(
            packages=("sudo", "tcsh"),
            users=(HostUser(name="sue", login_shell="/bin/tcsh", password=PASSWORD),),
            sudoers="Defaults requiretty\nsue ALL=(ALL) ALL\n",
        ),
        "sue",
        PASSWORD,
    ),
    "unprivileged": (HostSpec(users=(HostUser(name="sue"),)), "sue", ""),
}


@pytest.mark.parametrize("name", HOSTS)
def test_evaluation_has_the_verdicts_and_leaves_nothing(
    prepared: PreparedContent, tmp_path: Path, name: str
) -> None:
    spec, user, password = HOSTS[name]
    with overlay_host(tmp_path / "host", spec) as host:
        assert verdicts(evaluate(host, prepared, user, password)) == VERDICTS
        assert leftovers(host) == []
        assert [x for x in host.process_names() if "oscap" in x] == []


def test_full_target_names_the_required_space(prepared: PreparedContent, tmp_path: Path) -> None:
    small = dict.fromkeys(("/tmp", "/var/tmp", "/run", "/dev/shm", "/root"), "size=1m")
    with (
        overlay_host(tmp_path / "host", HostSpec(size_mib=8, tmpfs=small)) as host,
        pytest.raises(ToolError, match="oscap has no usable work folder") as caught,
    ):
        evaluate(host, prepared)

    assert "KiB of free space" in caught.value.output_tail


def test_read_only_tmp_is_named(prepared: PreparedContent, tmp_path: Path) -> None:
    with (
        overlay_host(tmp_path / "host", HostSpec(tmpfs={"/tmp": "ro"})) as host,
        pytest.raises(ToolError, match="oscap cannot run") as caught,
    ):
        evaluate(host, prepared)

    assert caught.value.output_tail == "/tmp is not writable"
    assert "mount a tmpfs" in caught.value.hint


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        (el_host_spec(removed=("oscap",)), "dnf install openscap-scanner"),
        (HostSpec(removed=("oscap",)), "apt install openscap-scanner"),
    ],
    ids=["Rocky", "Debian"],
)
def test_missing_oscap_names_the_install_command(
    prepared: PreparedContent, tmp_path: Path, spec: HostSpec, hint: str
) -> None:
    with (
        overlay_host(tmp_path / "host", spec) as host,
        pytest.raises(ToolError, match="is not installed") as caught,
    ):
        evaluate(host, prepared)

    assert hint in caught.value.hint


LIBRARIES = ("libopenscap.so.25", "libopenscap_sce.so.25")
NO_OSCAP = (
    *("oscap", "oscap-run-sce-script", "/usr/share/openscap"),
    *(f"/usr/lib/x86_64-linux-gnu/{name}" for name in LIBRARIES),
)
RPM_SPEC = """
Name: openscap
Version: 1
Release: 1
Summary: OpenSCAP
License: LGPL
AutoReqProv: no
%global debug_package %{nil}
%define __os_install_post %{nil}
%description
OpenSCAP
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/lib64 %{buildroot}/usr/share
cp /usr/bin/oscap %{buildroot}/usr/bin/
cp /usr/lib/x86_64-linux-gnu/libopenscap.so.25 %{buildroot}/usr/lib64/
cp /usr/lib/x86_64-linux-gnu/libopenscap_sce.so.25 %{buildroot}/usr/lib64/
cp -r /usr/share/openscap %{buildroot}/usr/share/
%files
/usr
"""


def build_rpm(folder: Path) -> tuple[PushedPackage, ...]:
    (folder / "openscap.spec").write_text(RPM_SPEC)
    definition = f"_topdir {folder / 'rpmbuild'}"
    run(["rpmbuild", "-bb", "--define", definition, folder / "openscap.spec"], timeout_s=120)
    return load_packages(sorted(folder.glob("rpmbuild/RPMS/*/*.rpm")))


def download_debs(folder: Path) -> tuple[PushedPackage, ...]:
    names = ("openscap-scanner", "libopenscap25", "openscap-common")
    run(["apt-get", "download", "-qq", *names], timeout_s=120, cwd=folder)
    return load_packages(sorted(folder.glob("*.deb")))


@pytest.mark.parametrize(
    ("spec", "get_packages"),
    [(el_host_spec(removed=NO_OSCAP), build_rpm), (HostSpec(removed=NO_OSCAP), download_debs)],
    ids=["rpm", "deb"],
)
def test_pushed_openscap_runs_without_installation(
    prepared: PreparedContent,
    tmp_path: Path,
    spec: HostSpec,
    get_packages: Callable[[Path], tuple[PushedPackage, ...]],
) -> None:
    packages = get_packages(tmp_path)
    with overlay_host(tmp_path / "host", spec) as host:
        evidence = evaluate(host, prepared, packages=packages)

        assert verdicts(evidence) == VERDICTS
        assert f"uploaded {' '.join(p.name for p in packages)}; installed: " in evidence.engine
        assert leftovers(host) == []
        assert host.run("command -v oscap || echo none").stdout == "none\n"


def test_pushed_openscap_that_cannot_be_executed_is_explained(
    prepared: PreparedContent, tmp_path: Path
) -> None:
    packages = tuple(p for p in download_debs(tmp_path) if "scanner" in p.name)
    with (
        overlay_host(tmp_path / "host", HostSpec(removed=NO_OSCAP)) as host,
        pytest.raises(ToolError, match="oscap cannot be executed on") as caught,
    ):
        evaluate(host, prepared, packages=packages)

    assert "libopenscap" in caught.value.output_tail
    assert "fapolicyd" in caught.value.hint


SLOW_OSCAP = """#!/bin/sh
[ "$1" != xccdf ] || { mkdir /tmp/oscap.1; echo x > /var/lib/oscap-runs; exec sleep 600; }
exec /usr/bin/oscap "$@"
"""


@pytest.fixture(scope="module")
def slow_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    spec = HostSpec(files={"/usr/local/bin/oscap": SLOW_OSCAP})
    with overlay_host(tmp_path_factory.mktemp("slow"), spec) as host:
        yield host


def wait_until(host: OverlayHost, script: str) -> None:
    for _ in range(100):
        if host.run(script, ok=(0, 1, 2)).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"did not happen: {script}; {host.process_names()}")


def start_evaluation(host: OverlayHost, prepared: PreparedContent) -> threading.Thread:
    def run() -> None:
        with contextlib.suppress(HardpanError):
            evaluate(host, prepared)

    host.run("rm -f /var/lib/oscap-runs; ls /tmp/oscap.* && exit 1; true")
    thread = threading.Thread(target=run)
    thread.start()
    wait_until(host, "test -e /var/lib/oscap-runs")
    return thread


def kill(host: OverlayHost, pattern: str) -> None:
    pattern = f"[{pattern[0]}]{pattern[1:]}"  # not this script itself
    pids = f"for p in /proc/[0-9]*; do grep -qsa {pattern!r} $p/cmdline && echo ${{p#/proc/}}; done"
    host.run(f"kill -{signal.SIGKILL} $({pids})", ok=(0, 1))


def test_lost_connection_leaves_nothing(slow_host: OverlayHost, prepared: PreparedContent) -> None:
    thread = start_evaluation(slow_host, prepared)

    kill(slow_host, "sshd: root@notty")

    thread.join(30)
    wait_until(
        slow_host, f"! ls -d {FOLDERS.replace(' ', '/hardpan-scan.* ')} 2>/dev/null | grep h"
    )
    wait_until(slow_host, "! ls -d /tmp/oscap.* 2>/dev/null")
    assert [x for x in slow_host.process_names() if x.startswith("sleep 600")] == []


def test_killed_script_is_removed_by_the_watcher(
    slow_host: OverlayHost, prepared: PreparedContent
) -> None:
    thread = start_evaluation(slow_host, prepared)

    kill(slow_host, "hardpan-start")

    thread.join(30)
    wait_until_removed(slow_host)
    assert [x for x in slow_host.process_names() if x.startswith("sleep 600")] == []


RM_THAT_FAILS_ONCE = """#!/bin/sh
[ -e "$2/pids" ] && mkdir /var/lib/rm-failed 2>/dev/null && exit 1
exec /usr/bin/rm "$@"
"""


def test_work_folder_is_removed_after_a_failed_attempt(
    prepared: PreparedContent, tmp_path: Path
) -> None:
    """A process that ends while the folder is removed may add a file to it."""
    spec = HostSpec(files={"/usr/local/bin/rm": RM_THAT_FAILS_ONCE})
    with overlay_host(tmp_path / "host", spec) as host:
        assert verdicts(evaluate(host, prepared)) == VERDICTS

        assert host.run("test -d /var/lib/rm-failed").returncode == 0
        assert leftovers(host) == []


def test_next_scan_removes_folders_of_dead_scans_only(
    prepared: PreparedContent, tmp_path: Path
) -> None:
    with overlay_host(tmp_path / "host", HostSpec()) as host:
        start = host.run("set -- $(cat /proc/1/stat); shift 21; echo $1").stdout.strip()
        prefix = "/var/lib/hardpan-scan"
        stale, reused, link = f"{prefix}.99999.5.a", f"{prefix}.1.5.a", f"{prefix}.9.9.x"
        alive = f"{prefix}.1.{start}.a"
        host.run(f"mkdir {stale} {reused} {alive}; touch {stale}/part0.xml; ln -s /etc {link}")

        assert verdicts(evaluate(host, prepared)) == VERDICTS

        assert leftovers(host) == sorted([alive, link])
        assert host.run("ls /etc/passwd").returncode == 0


def test_work_folder_is_never_in_a_folder_of_another_user(
    prepared: PreparedContent, tmp_path: Path
) -> None:
    """Its owner could replace the work folder and so control what root reads and writes."""
    read_only = dict.fromkeys(("/var/tmp", "/root", "/dev/shm"), "ro")
    spec = el_host_spec(
        is_root_read_only=True, tmpfs={**read_only, "/run": "size=64m", "/tmp": "size=64m"}
    )
    with overlay_host(tmp_path / "host", spec) as host:
        host.run("chown 1000 /run; chmod 0777 /tmp")
        with pytest.raises(ToolError, match="no usable work folder") as caught:
            evaluate(host, prepared)
        assert "sticky bit" in caught.value.hint

        host.run("chmod 1777 /tmp")
        assert verdicts(evaluate(host, prepared)) == VERDICTS
