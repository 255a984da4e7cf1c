# SPDX-License-Identifier: GPL-2.0-or-later
"""The task queues of an installation, in Anaconda's order (``installation.py``)."""

import shutil
from collections.abc import Callable, Sequence

from . import (
    accounts,
    anaconda_text,
    bootloader,
    configure,
    initramfs,
    payload,
    scripts,
    selinux,
    storage,
)
from .console import InstallerConsole
from .media import BootOptions
from .payload import DnfProcess
from .plan import InstallError, InstallPlan, ScriptSection
from .preparation import NonInteractiveError
from .process import LOGS, SYSROOT, append_log
from .release import Release
from .storage_configuration import DiskLayout

_TARGET_LOGS = "var/log/anaconda"
_LOGS = ("anaconda", "program", "storage", "packaging")
_PRIVATE = 0o600

Task = Callable[[], None]


class Installation:
    """One installation: its plan, and what its tasks leave for each other."""

    def __init__(
        self,
        plan: InstallPlan,
        options: BootOptions,
        release: Release,
        disk_layout: DiskLayout,
        dnf: DnfProcess,
        console: InstallerConsole,
        *,
        kickstart: str,
        package_problem: NonInteractiveError | None = None,
    ) -> None:
        self._plan = plan
        self._options = options
        self._release = release
        self._disk_layout = disk_layout
        self._dnf = dnf
        self._console = console
        self._kickstart = kickstart
        self._package_problem = package_problem
        self._target: storage.InstallTarget | None = None

    def run(self) -> None:
        """Run all queues; one line for each, one dot for each completed task.

        Raises:
            InstallError: a task failed.
        """
        tasks = self.list_queues()
        for title in anaconda_text.list_tasks(
            self._release, save_kickstart=self._options.save_output_kickstart
        ):
            self._console.print_line(title)
            for task in tasks[title]:
                task()
                self._console.print_dot()
        self._console.print_line("")
        storage.unmount_all(self.target)

    def list_queues(self) -> dict[str, Sequence[Task]]:
        """Tasks by the title of their queue."""
        software: Sequence[Task] = (self._install_software,)
        return {
            "Setting up the installation environment": (),
            "Configuring storage": (self._create_storage, self._write_storage_configuration),
            "Running pre-installation scripts": (self._run_pre_install_scripts,),
            "Running pre-installation tasks": (),
            "Installing.": software,
            "Installing the software": software,
            "Installing boot loader": (self._install_bootloader,),
            "Performing post-installation setup tasks": (),
            "Importing certificates": (),
            "Configuring installed system": (
                lambda: configure.configure_system(self._plan.system, self._release),
            ),
            "Writing network configuration": (
                lambda: configure.configure_network(self._plan.system),
            ),
            "Creating users": (lambda: accounts.create_accounts(self._plan.system),),
            "Configuring addons": (),
            "Generating initramfs": (
                lambda: initramfs.make_initramfs(self._console, fips=self._options.fips),
            ),
            "Storing configuration files and kickstarts": (self._store_kickstart,),
            "Running post-installation scripts": (
                self._run_post_scripts,
                self._save_input_and_logs,
                lambda: selinux.label_files(self.target),
            ),
        }

    @property
    def target(self) -> storage.InstallTarget:
        """The disk, once storage has been created."""
        if self._target is None:
            raise InstallError("storage has not been created")
        return self._target

    def _create_storage(self) -> None:
        self._target = storage.prepare_disk(self._disk_layout, self._console)

    def _write_storage_configuration(self) -> None:
        configure.write_mount_tables(self.target)
        storage.write_lvm_devices(self.target)

    def _run_pre_install_scripts(self) -> None:
        scripts.run_all(self._plan.scripts_in(ScriptSection.PRE_INSTALL))

    def _run_post_scripts(self) -> None:
        scripts.run_all(self._plan.scripts_in(ScriptSection.POST))

    def _install_software(self) -> None:
        if self._release.major == 9:
            self._console.print_line("Starting package installation process")
        if self._package_problem is not None:
            raise self._package_problem
        payload.unpack_image(self._console.print_line)
        storage.bind_kernel_filesystems()
        # The image has empty ones.
        self._write_storage_configuration()
        payload.remove_excluded(self._plan.packages)
        self._dnf.install(self._console, self._release)

    def _install_bootloader(self) -> None:
        bootloader.install_bootloader(
            self._plan.bootloader,
            self._disk_layout.storage,
            self.target,
            self._console,
            cmdline=self._options.cmdline,
            fips=self._options.fips,
        )

    def _store_kickstart(self) -> None:
        header = f"# Generated by Anaconda {self._release.anaconda_version}\n"
        _write_private("root/anaconda-ks.cfg", header + self._plan.text)

    def _save_input_and_logs(self) -> None:
        """What EL 9 does in ``%post`` sections of its own and EL 10 in final tasks."""
        if self._options.save_input_kickstart:
            _write_private("root/original-ks.cfg", self._kickstart)
        if self._options.save_logs:
            save_logs()


def save_logs() -> None:
    """Copy the installer's logs to where EL's are."""
    append_log("anaconda", "Copying logs from the installation environment.")
    folder = SYSROOT / _TARGET_LOGS
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    sources = [LOGS / f"{name}.log" for name in _LOGS]
    for path in (*sources, *sorted(LOGS.glob("ks-script-*.log"))):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(_PRIVATE)


def _write_private(name: str, text: str) -> None:
    path = SYSROOT / name
    path.write_text(text, "utf-8")
    path.chmod(_PRIVATE)
