"""Ansible's modules run as root, and import nothing from the folder of the user who logs in."""

from collections.abc import Iterator

import pytest
import yaml

from hardpan.builder.ansible import runner
from hardpan.builder.artifacts import BootedGuest
from hardpan.core.process import run
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def role_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runner.RoleRun]:
    folder = tmp_path_factory.mktemp("ansible")
    with local_sshd(folder) as target:
        guest = BootedGuest(
            address=target.host,
            port=target.port,
            user=target.user,
            private_key=folder / "user",
            host_keys=target.host_keys,
            accelerator="tcg",
            boot_s=0,
        )
        yield runner.RoleRun(layer="stig", workdir=folder, guest=guest, variables={})


def test_privileged_python_starts_in_root_directory(role_run: runner.RoleRun) -> None:
    """Only root can place modules there that Python would import."""
    inventory = yaml.safe_load(runner._write_inventory(role_run).read_text("utf-8"))
    guest = inventory["all"]["hosts"]["guest"]
    sudo = role_run.workdir / "sudo"
    sudo.write_text('#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n')
    sudo.chmod(0o755)
    guest["ansible_become_exe"] = guest["ansible_become_exe"].replace("sudo", str(sudo))
    guest["ansible_become_user"] = "nobody"  # the user of the login needs no sudo
    path = role_run.workdir / "become.yml"
    path.write_text(yaml.safe_dump(inventory), "utf-8")
    argv = ["ansible", "guest", "--become", "-i", str(path), "-m", "ansible.builtin.command"]

    output = run(
        [*argv, "-a", "pwd"], timeout_s=120, env=runner._ansible_environment(role_run.workdir)
    ).stdout

    assert output.splitlines() == ["guest | CHANGED | rc=0 >>", "/"]
