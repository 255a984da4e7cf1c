"""Run the stages of a build in their order."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder import (
    bash_syntax,
    install,
    resource_needs,
    stages,
    sysprep,
)
from hardpan.builder.artifacts import (
    Assessment,
    BootedGuest,
    DiskImage,
    InstallMedia,
    SshAccess,
    UnattendedIso,
)
from hardpan.builder.hardened_image import HardenedImage, read_fix, read_hardened_image
from hardpan.builder.layers import registry, vendor_packages
from hardpan.builder.media.remaster import remaster
from hardpan.builder.media.serial_console import overlay_with_serial_console
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.devices import FILE_SYSTEM_BLOCK_BYTES
from hardpan.builder.vm.disk_image import check_disk, copy_disk
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VmSpec
from hardpan.core import clock
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import (
    PRIVATE_MODE,
    MiB,
    Sha256,
    atomic_path,
    require_free_space,
    sha256_bytes,
    sha256_file,
)
from hardpan.core.stage_cache import StageResult
from hardpan.kickstart import (
    boot_arguments,
    contains_secret,
    lint_or_raise,
    make_volume_label,
    render_kickstart,
)
from hardpan.profiles.schema.profile import Profile

AssessGuest = Callable[[BootedGuest], Assessment]
"""Scans a booted guest and returns its failing rules with their fixes."""

OpenShell = Callable[[BootedGuest], AbstractContextManager[sysprep.RootShell]]
"""Opens a root shell on a booted guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that a build needs before its first stage."""

    profile: Profile
    media: InstallMedia
    access: SshAccess
    acceleration: Acceleration
    output_folder: Path
    """Folder of the outputs."""

    cache_folder: Path
    """Folder of base installs and media, shared by all builds."""

    emit: Emit
    packages_bytes: int = 0
    """Installed size of the packages that the installer installs; 0 if it is not known."""

    luks_passphrase: str = ""
    """Opens the LUKS volume, where the profile has one."""

    install_deadlines: install.Deadlines | None = None
    """Time limits of the install; None for the defaults of this host."""

    def vm_spec(self, disk: Path) -> VmSpec:
        """Return the virtual machine that the profile is built in, with ``disk``."""
        machine = self.profile.machine
        return VmSpec(
            disk=disk,
            vcpus=machine.vcpus,
            memory_mib=machine.memory_mib,
            firmware=machine.firmware,
        )


def build_iso(plan: BuildPlan) -> UnattendedIso:
    """Write the install media with the profile's kickstart to ``OUTPUT/PROFILE.iso``."""
    text = render_linted_kickstart(plan.profile, plan.access.public_key, plan.luks_passphrase)
    label = make_volume_label(plan.profile)
    boot_options = boot_arguments(plan.profile, label)
    stage = stages.iso_stage(
        plan.profile,
        plan.output_folder,
        media_sha256=plan.media.sha256,
        media_bytes=plan.media.size_bytes,
        kickstart_text=text,
        boot_options=boot_options,
    )
    (path,) = stage.outputs
    has_secret = contains_secret(text)

    def execute(_note: Callable[[str], None]) -> StageResult:
        iso = remaster(
            plan.media,
            text,
            path,
            arguments=boot_options,
            secret=has_secret,
            emit=plan.emit,
            volume_id=label,
        )
        return {"sha256": iso.sha256}

    result = stage.run(plan.emit, execute)
    return UnattendedIso(
        path=path,
        sha256=Sha256(str(result["sha256"])),
        volume_id=label,
        kickstart_sha256=sha256_bytes(text.encode()),
        media_sha256=plan.media.sha256,
        has_secret=has_secret,
    )


def render_linted_kickstart(profile: Profile, public_key: str, luks_passphrase: str) -> str:
    """Return the kickstart's text, checked by the linter and bash.

    Raises:
        InputError: it cannot be rendered, or the linter or bash rejects it.
    """
    text = render_kickstart(profile, public_key, passphrase=luks_passphrase)
    lint_or_raise(text, profile.release, shell_check=bash_syntax.syntax_error)
    return text


def install_base(plan: BuildPlan, iso: UnattendedIso) -> DiskImage:
    """Install the base system; the result is shared through the cache folder."""
    disk_size_mib = MiB(plan.profile.disk_size_mib)
    stage = stages.install_stage(
        plan.profile,
        plan.cache_folder,
        iso_sha256=iso.sha256,
        packages_bytes=plan.packages_bytes,
    )
    (disk,) = stage.outputs

    def execute(_note: Callable[[str], None]) -> StageResult:
        with overlay_with_serial_console(iso.path, plan.output_folder) as cdrom:
            installed = install.install(
                replace(plan.vm_spec(disk), cdrom=cdrom, cdrom_format="qcow2"),
                size_mib=disk_size_mib,
                acceleration=plan.acceleration,
                log=plan.output_folder / "install.log",
                emit=plan.emit,
                deadlines=plan.install_deadlines,
                required_mib=stage.required_mib,
            )
        return {"sha256": installed.sha256, "duration_s": f"{installed.duration_s:.1f}"}

    result = stage.run(plan.emit, execute)
    return DiskImage(
        path=disk,
        virtual_size_mib=disk_size_mib,
        sha256=Sha256(str(result["sha256"])),
        duration_s=float(str(result["duration_s"])),
    )


def harden_image(
    plan: BuildPlan,
    base: DiskImage,
    *,
    content_sha256: Sha256,
    assess: AssessGuest,
    open_shell: OpenShell,
) -> HardenedImage:
    """Apply the profile's layers to the base and generalize it, as ``OUTPUT/PROFILE.qcow2``."""
    registry.check_layers(plan.profile)
    vendor_packages.check_reachable(plan.profile)
    stage = stages.harden_stage(
        plan.profile,
        plan.output_folder,
        base_sha256=base.sha256,
        content_sha256=content_sha256,
        packages_bytes=plan.packages_bytes,
    )
    (path,) = stage.outputs

    def execute(report_progress: Callable[[str], None]) -> StageResult:
        return _execute_hardening(
            plan, base, path, content_sha256, assess, open_shell, report_progress
        )

    return read_hardened_image(stage.run(plan.emit, execute), path, base.virtual_size_mib)


def _execute_hardening(
    plan: BuildPlan,
    base: DiskImage,
    path: Path,
    content_sha256: Sha256,
    assess: AssessGuest,
    open_shell: OpenShell,
    report_progress: Callable[[str], None],
) -> StageResult:
    required_mib = resource_needs.harden_required_mib(plan.profile, plan.packages_bytes)
    require_free_space(path.parent, required_mib, purpose="the image")
    start_s, started = clock.monotonic_s(), clock.format_rfc3339(clock.now())
    with atomic_path(path, mode=PRIVATE_MODE) as temp:
        report_progress("copying the base install")
        # The guest trims every block that it frees, so the second copy holds no deleted data.
        work_disk = temp.with_suffix(".work")
        copy_disk(base.path, work_disk, cluster_bytes=FILE_SYSTEM_BLOCK_BYTES)
        log = plan.output_folder / "harden.log"
        spec = replace(
            plan.vm_spec(work_disk),
            allowed_endpoints=vendor_packages.allowed_endpoints(plan.profile),
            cdrom=plan.media.path if vendor_packages.uses_media(plan.profile) else None,
        )
        machine = boot(spec, plan.access, plan.acceleration, log=log, emit=plan.emit, overlay=False)
        with machine as guest:
            assessment = _assess_base(plan, guest, base, content_sha256, assess)
            layer_results = registry.apply_layers(
                plan.profile, guest, assessment, cache=plan.cache_folder, emit=plan.emit
            )
            report_progress("sysprep: removing identity, secrets and logs, discarding free blocks")
            with open_shell(guest) as root:
                packages = sysprep.generalize(root, _removed_key(plan))
        check_disk(work_disk)
        report_progress("writing the image without free blocks")
        copy_disk(work_disk, temp)
    return {
        "sha256": sha256_file(path),
        "duration_s": f"{clock.monotonic_s() - start_s:.1f}",
        "baseline_counts": assessment.counts,
        "layers": [
            dataclasses.asdict(layer) | {"duration_s": f"{layer.duration_s:.1f}"}
            for layer in layer_results
        ],
        "packages": list(packages),
        "started": started,
        "finished": clock.format_rfc3339(clock.now()),
    }


def _removed_key(plan: BuildPlan) -> sysprep.BuildKey | None:
    """Return the operator's key, unless the profile keeps it or has it among its own."""
    profile, line = plan.profile, plan.access.public_key.strip()
    profile_keys = {tuple(key.split()[:2]) for user in profile.users for key in user.ssh_keys}
    if profile.build_key == "keep" or not line or tuple(line.split()[:2]) in profile_keys:
        return None
    return sysprep.BuildKey(user=profile.build_user, public_key=line)


def _assess_base(
    plan: BuildPlan,
    guest: BootedGuest,
    base: DiskImage,
    content_sha256: Sha256,
    assess: AssessGuest,
) -> Assessment:
    def execute(_note: Callable[[str], None]) -> StageResult:
        assessment = assess(guest)
        return {
            "counts": assessment.counts,
            "fixes": [dataclasses.asdict(fix) for fix in assessment.fixes],
        }

    stage = stages.assess_stage(
        plan.profile, plan.cache_folder, base_sha256=base.sha256, content_sha256=content_sha256
    )
    result = stage.run(plan.emit, execute)
    fixes = result["fixes"]
    counts = result["counts"]
    assert isinstance(fixes, list)  # noqa: S101 - written by ``execute`` above
    assert isinstance(counts, dict)  # noqa: S101
    plan.emit(StageMessage(stage="harden", text=f"{len(fixes)} rules fail before hardening"))
    return Assessment(
        content_sha256=content_sha256,
        counts={str(k): int(v) for k, v in counts.items()},
        fixes=tuple(read_fix(fix) for fix in fixes),
    )
