"""The command lines of the system's ssh."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from hardpan.ssh.client_settings import ClientSettings
from hardpan.ssh.destination import Destination
from hardpan.ssh.openssh_options import PrivateFiles, build_master_argv, build_session_argv
from hardpan.ssh.target import Target

FILES = PrivateFiles(folder=Path("/run/user/0/hardpan-x"))
TARGET = Target(
    host="192.0.2.1",
    port=2222,
    user="admin",
    known_hosts=(Path("/home/a b/known_hosts"), Path("/etc/100%/known")),
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o"
NEW = (9, 2)
WEB = Destination(user="", host="web", port="")


def _options(argv: list[str]) -> list[str]:
    return [value for name, value in pairwise(argv) if name == "-o"]


def test_master_gives_nothing_to_the_target() -> None:
    options = _options(build_master_argv(TARGET, FILES, version=NEW, timeout_s=20))

    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "GSSAPIDelegateCredentials=no",
        "FingerprintHash=sha256",
        "ControlPersist=no",
        "ForkAfterAuthentication=no",
        "ConnectTimeout=20",
    } <= set(options)
    assert len({option.partition("=")[0] for option in options}) == len(options)


def test_known_hosts_files_are_quoted() -> None:
    options = _options(build_master_argv(TARGET, FILES, version=NEW, timeout_s=20))

    assert 'UserKnownHostsFile="/home/a b/known_hosts" "/etc/100%%/known"' in options
    assert "GlobalKnownHostsFile=/dev/null" in options


def test_pinned_key_excludes_every_other_source() -> None:
    target = replace(TARGET, host_keys=(KEY,), trust_new_host_key=True)
    options = _options(build_master_argv(target, FILES, version=NEW, timeout_s=20))

    assert f'UserKnownHostsFile="{FILES.known_hosts}"' in options
    assert {"StrictHostKeyChecking=yes", "HostKeyAlias=hardpan-target"} <= set(options)
    assert {"GlobalKnownHostsFile=/dev/null", "KnownHostsCommand=none"} <= set(options)


def test_new_key_goes_to_a_private_file() -> None:
    target = replace(TARGET, trust_new_host_key=True)
    options = _options(build_master_argv(target, FILES, version=NEW, timeout_s=20))

    assert "StrictHostKeyChecking=accept-new" in options
    (files,) = (o for o in options if o.startswith("UserKnownHostsFile="))
    assert files.startswith(f'UserKnownHostsFile="{FILES.known_hosts}" "/home/a b/')


def test_configured_connect_timeout_is_used() -> None:
    target = replace(TARGET, settings=ClientSettings(connect_timeout_s=7))
    options = _options(build_master_argv(target, FILES, version=NEW, timeout_s=20))

    assert "ConnectTimeout=7" in options


def test_old_ssh_gets_no_unknown_option() -> None:
    target = replace(TARGET, host_keys=(KEY,))
    argv = build_master_argv(target, FILES, version=(8, 0), timeout_s=20)

    assert not [a for a in argv if "KnownHostsCommand" in a or "ForkAfter" in a]


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        ({}, ["ssh", "-F", "none"], ["-l", "admin", "-p", "2222", "--", "192.0.2.1"]),
        ({"typed": WEB, "ssh_config": Path("none")}, ["ssh", "-F", "none"], ["--", "web"]),
        ({"typed": WEB, "ssh_config": Path("/c")}, ["ssh", "-F", "/c"], ["--", "web"]),
        (
            {"typed": Destination(user="a", host="web", port="23")},
            ["ssh", "-N"],
            ["-l", "a", "-p", "23", "--", "web"],
        ),
    ],
)
def test_ssh_resolves_the_destination_as_typed(
    changes: dict[str, object], start: list[str], end: list[str]
) -> None:
    target = replace(TARGET, **changes)  # type: ignore[arg-type]
    argv = build_master_argv(target, FILES, version=NEW, timeout_s=20)

    assert argv[: len(start)] == start
    assert argv[-len(end) :] == end


def test_session_never_opens_another_connection() -> None:
    argv = build_session_argv(TARGET, FILES, 3, "env sh", has_terminal=False)

    assert {"ControlMaster=no", "ProxyCommand=false"} <= set(_options(argv))
    assert argv[:3] == ["ssh", "-F", "none"]
    assert argv[-3:] == ["--", "192.0.2.1", "env sh"]
    assert "-T" in argv
    assert "-tt" in build_session_argv(TARGET, FILES, 3, "env sh", has_terminal=True)
