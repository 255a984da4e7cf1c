"""Run the stages of a build in their order: ISO, base install, layers, image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hardpan.builder import bash_syntax, build_lock, disk_cache, install, stages
from hardpan.builder.artifacts import DiskImage, IsoPayload, UnattendedIso
from hardpan.builder.build_plan import AssessGuest, BuildPlan, OpenShell
from hardpan.builder.hardened_image import HardenedImage
from hardpan.builder.hardening import Hardening
from hardpan.builder.layers import registry, vendor_packages
from hardpan.builder.layers.inputs import MODEL_LAYERS
from hardpan.builder.media.remaster import remaster
from hardpan.builder.media.serial_console import overlay_with_serial_console
from hardpan.builder.offline import payload as offline_payload
from hardpan.builder.offline.size_plan import planned_bytes, require_size
from hardpan.builder.vm.disk_image import copy_disk
from hardpan.core.files import (
    PRIVATE_MODE,
    MiB,
    Sha256,
    atomic_path,
    require_free_space,
    sha256_bytes,
    sha256_file,
    temporary_folder,
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


def build_iso(plan: BuildPlan) -> UnattendedIso:
    """Write the install media with the profile's kickstart to ``OUTPUT/PROFILE.iso``."""
    with collect_payload(plan) as payload:
        return _write_iso(plan, payload)


@contextmanager
def collect_payload(plan: BuildPlan) -> Iterator[IsoPayload | None]:
    """Yield the folder with the layers' files for the length of the block, if the ISO has one."""
    if plan.offline is None:
        yield None
        return
    request = offline_payload.PayloadRequest(
        profile=plan.profile, content=plan.offline, cache=plan.cache_folder, emit=plan.emit
    )
    with temporary_folder(plan.cache_folder / "offline") as folder:
        yield offline_payload.write_payload(request, folder)


def _write_iso(plan: BuildPlan, payload: IsoPayload | None) -> UnattendedIso:
    text = render_linted_kickstart(
        plan.profile,
        plan.access.public_key,
        plan.luks_passphrase,
        offline=payload is not None,
    )
    label = make_volume_label(plan.profile)
    boot_options = boot_arguments(plan.profile, label)
    media_bytes = plan.media.size_bytes
    if payload is not None:
        media_bytes = planned_bytes(media_bytes, payload)
    stage = stages.iso_stage(
        plan.profile,
        plan.output_folder,
        media_sha256=plan.media.sha256,
        media_bytes=media_bytes,
        kickstart_text=text,
        boot_options=boot_options,
        waits_for_key=plan.waits_for_key,
        payload_sha256=payload.sha256 if payload else "",
    )
    (path,) = stage.outputs
    if payload is not None:
        require_size(path, plan.media, payload, max_size_mib=plan.max_iso_mib)
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
            waits_for_key=plan.waits_for_key,
            payload=payload,
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
        payload_sha256=payload.sha256 if payload else "",
    )


def render_linted_kickstart(
    profile: Profile, public_key: str, luks_passphrase: str, *, offline: bool = False
) -> str:
    """Return the kickstart's text, checked by the linter and bash.

    ``offline`` is for an ISO with the layers' files.

    Raises:
        InputError: it cannot be rendered, or the linter or bash rejects it.
    """
    text = render_kickstart(profile, public_key, passphrase=luks_passphrase, offline=offline)
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
    folder = stage.record_folder
    assert folder is not None  # noqa: S101 - the digest of the ISO is known

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
        return {
            "sha256": installed.sha256,
            "duration_s": f"{installed.duration_s:.1f}",
            "profile": plan.profile.name,
        }

    with plan.lock(folder, stage=stage.name):
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
    hardening = Hardening(
        plan=plan, base=base, content_sha256=content_sha256, assess=assess, open_shell=open_shell
    )
    # Two builds on one base would do the same work twice.
    with plan.lock(base.path.parent, stage="harden"):
        hardened = hardening.build_disk()
        if plan.required_lock is not None:
            build_lock.require_unchanged(
                plan.required_lock, lock_build(plan, hardened, content_sha256)
            )
        image = _write_image(plan, hardened.disk)
        disk_cache.remove_old_disks(plan, base.path.parent)
        return replace(hardened, disk=image)


def lock_build(
    plan: BuildPlan, hardened: HardenedImage, content_sha256: Sha256
) -> build_lock.BuildLock:
    """Return everything that ``hardened`` was built from."""
    inputs = build_lock.lock_inputs(
        plan.profile.name, plan.media, plan.media_content, content_sha256
    )
    has_model = bool(MODEL_LAYERS & set(plan.profile.layers))
    return inputs.model_copy(
        update={
            "packages": build_lock.lock_packages(hardened.package_headers, plan.media_content),
            "wheels": build_lock.lock_wheels(hardened.stacks),
            "models": build_lock.lock_model() if has_model else (),
        }
    )


def _write_image(plan: BuildPlan, disk: DiskImage) -> DiskImage:
    stage = stages.image_stage(
        plan.profile,
        plan.output_folder,
        disk_sha256=disk.sha256,
        packages_bytes=plan.packages_bytes,
    )
    (path,) = stage.outputs

    def execute(_note: Callable[[str], None]) -> StageResult:
        require_free_space(path.parent, stage.required_mib, purpose="the image")
        with atomic_path(path, mode=PRIVATE_MODE) as temp:
            copy_disk(disk.path, temp)
        return {"sha256": sha256_file(path)}

    result = stage.run(plan.emit, execute)
    return replace(disk, path=path, sha256=Sha256(str(result["sha256"])))
