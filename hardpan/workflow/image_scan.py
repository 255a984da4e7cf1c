"""Boot an image behind a temporary overlay, as the target of a scan."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.artifacts import BootedGuest, SshAccess
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.cloud_init import write_seed
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qcow2_header import require_self_contained
from hardpan.core.errors import InputError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import read_limited, sha256_bytes, sha256_file
from hardpan.core.xdg import data_home
from hardpan.scanners.model.scan import ImageRef
from hardpan.signing import read_bundle
from hardpan.ssh.target import Target, from_guest
from hardpan.workflow.image_target import ImageTarget, OpenTarget
from hardpan.workflow.keyring import create_access, find_operator_key

_VCPUS = 2
_MEMORY_MIB = 2560
_HOST_KEYS_TIMEOUT_S = 300.0
"""cloud-init runs its commands after sshd has started."""

_MAX_PROVENANCE_BYTES = 16 << 20
_MAX_SBOM_BYTES = 256 << 20


@contextlib.contextmanager
def boot_image(image: ImageTarget, emit: Emit) -> Iterator[OpenTarget]:
    """Boot the image for the length of the block.

    Raises:
        InputError: the image or its key cannot be used.
        ToolError: QEMU is missing, or the guest does not boot, prints no host key or does not
            answer on SSH.
    """
    require_self_contained(image.path)
    acceleration = detect_acceleration()
    with tempfile.TemporaryDirectory(prefix="hardpan-image-") as temp_dir:
        folder = Path(temp_dir)
        access = _provide_access(image, folder)
        spec = VmSpec(
            disk=image.path,
            vcpus=_VCPUS,
            memory_mib=_MEMORY_MIB,
            firmware=image.firmware,
            cdrom=_write_seed(image, access, folder),
        )
        has_trusted_key = bool(image.host_keys) or image.trust_new_host_key
        with boot(
            spec,
            access,
            acceleration,
            log=folder / "console.log",
            emit=emit,
            overlay=True,
            overlay_folder=folder,
            host_keys_timeout_s=None if has_trusted_key else _HOST_KEYS_TIMEOUT_S,
        ) as guest:
            yield OpenTarget(
                target=_build_target(image, guest), image=_find_provenance(image.path, emit)
            )


def _provide_access(image: ImageTarget, folder: Path) -> SshAccess:
    if image.uses_cloud_init and image.identity is None:
        return create_access(image.user, folder / "key")
    access = find_operator_key(image.user, image.identity, data_home())
    if access is None:
        raise InputError(
            f"{image}: no key for the login: expected --identity, or --cloud-init for an image "
            "with cloud-init",
            hint="images that hardpan built accept the key that built them",
        )
    return access


def _write_seed(image: ImageTarget, access: SshAccess, folder: Path) -> Path | None:
    if not image.uses_cloud_init:
        return None
    seed = folder / "seed.iso"
    write_seed(seed, access)
    return seed


def _build_target(image: ImageTarget, guest: BootedGuest) -> Target:
    if guest.host_keys and not image.host_keys:
        return from_guest(guest)
    return Target(
        host=guest.address,
        port=guest.port,
        user=guest.user,
        identity=guest.private_key,
        host_keys=image.host_keys,
        trust_new_host_key=image.trust_new_host_key,
    )


def _find_provenance(image: Path, emit: Emit) -> ImageRef | None:
    """Return the image with the provenance that ``hardpan build`` wrote next to it."""
    bundle_path = image.with_name(f"{image.stem}.provenance.sigstore.json")
    sbom_path = image.with_name(f"{image.stem}.sbom.cdx.json")
    if not bundle_path.is_file() or not sbom_path.is_file():
        return None
    bundle = read_limited(bundle_path, _MAX_PROVENANCE_BYTES)
    payload = read_bundle(bundle, label=str(bundle_path)).unverified_payload
    digest = sha256_file(image)
    if digest not in _list_subject_digests(payload):
        note = f"{bundle_path.name} is about another image; the evidence names no image"
        emit(StageMessage(stage="boot", text=note))
        return None
    return ImageRef(
        name=image.name,
        sha256=digest,
        provenance=bundle,
        provenance_statement_sha256=sha256_bytes(payload),
        sbom=read_limited(sbom_path, _MAX_SBOM_BYTES),
    )


def _list_subject_digests(payload: bytes) -> set[str]:
    """Return the SHA-256 digests of the subjects; empty if the statement is malformed."""
    try:
        subjects = json.loads(payload)["subject"]
        return {str(subject["digest"]["sha256"]) for subject in subjects}
    except (ValueError, KeyError, TypeError):
        return set()
