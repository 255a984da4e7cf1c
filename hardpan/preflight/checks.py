"""Everything that is checked before a build starts, for the build and its dry run alike.

Nothing is written and no stage runs. What takes minutes to check (the digest of an ISO without
``--media-sha256``, what the archives offer today) is not checked.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder import build_lock, host_tools, ksvalidator
from hardpan.builder import pipeline as build_pipeline
from hardpan.builder.artifacts import InstallMedia, SshAccess
from hardpan.builder.image_formats import require_possible_formats
from hardpan.builder.layers.role_validation import validate_roles
from hardpan.builder.media.expected_digest import match_digest
from hardpan.builder.media.package_check import MediaPackages
from hardpan.builder.media.sources import MediaCandidate
from hardpan.builder.profile_checks import collect_profile_errors
from hardpan.builder.resource_needs import HOST_MEMORY_MIB, guest_memory_mib
from hardpan.builder.vm import firmware
from hardpan.builder.vm.probe import Acceleration, detect_acceleration
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError, ResourceError, raise_if_any
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import (
    Sha256,
    require_free_space,
    require_writable_folder,
    sha256_file,
)
from hardpan.preflight.deviation_checks import require_matching_deviations
from hardpan.preflight.media_checks import check_media
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.evidence.signing_options import timestamper
from hardpan.workflow import keyring
from hardpan.workflow.keyring import KeyRing
from hardpan.workflow.request import BuildRequest

_PLACEHOLDER_KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= nobody"
)
"""Stands for a key that the build will generate; its private key does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the checks found; None for what is missing, unusable or not needed."""

    request: BuildRequest
    builds_image: bool
    """False if only an ISO is built."""

    acceleration: Acceleration | None = None
    access: SshAccess | None = None
    kickstart: str = ""
    """Its text; a placeholder stands for a key that is not generated yet."""

    is_validated: bool = False
    """True if ksvalidator accepts it, False if ksvalidator is not installed."""

    media: MediaCandidate | None = None
    media_packages: MediaPackages | None = None
    """The profile's packages on the media; None if the media are missing or not built yet."""

    keyring: KeyRing | None = None
    content: ContentSource | None = None

    @property
    def packages_bytes(self) -> int:
        """Installed size of the packages that the installer installs; 0 if it is not known."""
        return self.media_packages.base.installed_bytes if self.media_packages else 0


def run_checks(
    request: BuildRequest, *, builds_image: bool, only_inputs: bool = False
) -> tuple[Environment, ErrorCollector]:
    """Return what a build can use and everything that prevents it, in the build's order.

    ``only_inputs`` leaves out what takes seconds and is no input of a stage: ksvalidator, the probe
    of KVM, and whether the content has the rules of the waivers.
    """
    profile = request.profile
    errors = collect_profile_errors(profile, builds_image=builds_image, offline=request.offline)
    with errors.collecting("image formats"):
        require_possible_formats(profile, request.image_formats)
    with errors.collecting("timestamp"):
        timestamper(request.timestamp_url)
    for folder in (request.output_folder, request.cache_folder):
        with errors.collecting("folders"):
            require_writable_folder(folder)
    with errors.collecting("tools"):
        tools = host_tools.missing_tools(profile, image=builds_image, offline=request.offline)
        raise_if_any(tuple(tools))
    environment = Environment(request=request, builds_image=builds_image)
    if not only_inputs:
        environment = _check_machine(environment, errors)
    environment = _check_access(environment, errors, only_inputs=only_inputs)
    environment = _check_media(environment, errors)
    if request.offline:
        environment = _check_content(environment, errors, only_inputs=only_inputs)
    if not builds_image:
        return environment, errors
    environment = _check_keyring(environment, errors)
    environment = _check_content(environment, errors, only_inputs=only_inputs)
    _check_lock(environment, errors)
    return environment, errors


def verify_media_digest(environment: Environment, errors: ErrorCollector, emit: Emit) -> None:
    """Check the media against what the operator gave to verify them.

    A build does this in its first stage; here it takes as long as reading the ISO.
    """
    request, media = environment.request, environment.media
    if media is not None and request.media is not None and request.media_digest.has_statement:
        emit(StageMessage(stage="media", text=f"checking the digest of {request.media.name}"))
        with errors.collecting("media"):
            match_digest(request.media, sha256_file(request.media), media.expected)


def check_roles(profile: Profile, errors: ErrorCollector) -> None:
    """Check that Ansible can read the profile's roles; a missing Ansible is reported already."""
    if host_tools.find_program("ansible-playbook") is not None:
        with errors.collecting("layers"):
            validate_roles(profile)


def check_scan_login(profile: Profile, errors: ErrorCollector) -> None:
    """Check that the finished image can be scanned with the operator's key."""
    with errors.collecting("scan"):
        if profile.build_key == "remove":
            raise InputError(
                f"{profile.name}: the scan logs in to the finished image with the operator's key,"
                " and the profile has 'build_key: remove'"
            )


def check_disk_space(requirements: Iterable[tuple[Path, int, str]], errors: ErrorCollector) -> None:
    """Check the free disk space: ``requirements`` are folder, MiB and purpose."""
    for folder, required_mib, purpose in requirements:
        with errors.collecting("disk"):
            require_free_space(folder.absolute(), required_mib, purpose=purpose)


def _check_machine(environment: Environment, errors: ErrorCollector) -> Environment:
    machine = environment.request.profile.machine
    accelerator = None
    with errors.collecting("machine"):
        accelerator = detect_acceleration()
    if environment.builds_image and machine.firmware != "bios":
        with errors.collecting("machine"):
            firmware.require_firmware(machine.firmware)
    with errors.collecting("machine"):
        host_mib = machine.memory_mib + HOST_MEMORY_MIB if environment.builds_image else 0
        _require_memory(host_mib)
    return replace(environment, acceleration=accelerator)


def _check_access(
    environment: Environment, errors: ErrorCollector, *, only_inputs: bool
) -> Environment:
    request = environment.request
    profile = request.profile
    access, text, is_validated = None, "", False
    with errors.collecting("ssh key"):
        access = keyring.find_operator_key(
            profile.build_user, request.ssh_key_file, request.data_folder
        )
    with errors.collecting("kickstart"):
        public = _PLACEHOLDER_KEY if access is None else access.public_key
        text = build_pipeline.render_linted_kickstart(
            profile, public, request.read_luks_passphrase(), offline=request.offline
        )
        if not only_inputs:
            is_validated = ksvalidator.validate(text, profile.release)
    return replace(environment, access=access, kickstart=text, is_validated=is_validated)


def _check_media(environment: Environment, errors: ErrorCollector) -> Environment:
    request = environment.request
    candidate, packages = check_media(
        request.profile,
        request.media,
        request.cache_folder,
        errors,
        digest=request.media_digest,
    )
    if environment.builds_image:
        with errors.collecting("machine"):
            _require_guest_memory(request.profile, packages)
    return replace(environment, media=candidate, media_packages=packages)


def _check_keyring(environment: Environment, errors: ErrorCollector) -> Environment:
    request = environment.request
    with errors.collecting("signing keys"):
        available_keyring = keyring.find_signing_keys(
            request.keys_folder, request.data_folder, request.output_folder, request.key_refs
        )
        return replace(environment, keyring=available_keyring)
    return environment


def _check_content(
    environment: Environment, errors: ErrorCollector, *, only_inputs: bool
) -> Environment:
    request = environment.request
    with errors.collecting("content"):
        content = datastream.find(request.profile.stig.content, request.content)
        if not only_inputs:
            require_matching_deviations(request.profile, content, request.tailoring)
        return replace(environment, content=content)
    return environment


def _check_lock(environment: Environment, errors: ErrorCollector) -> None:
    """Compare what is known before a build with the lock of ``--locked``."""
    request, media, content = environment.request, environment.media, environment.content
    lock = request.lock
    if lock is None or media is None or media.path is None or content is None:
        return
    digests = [media.sha256, *(expected.sha256 for expected in media.expected)]
    # An ISO that was never read is compared by the metadata of its repositories.
    sha256 = next((digest for digest in digests if digest), Sha256(lock.media.sha256))
    install_media = InstallMedia(
        path=media.path,
        sha256=sha256,
        size_bytes=media.size,
        volume_id=media.volume_id,
        name=request.profile.media.catalog,
    )
    inputs = build_lock.lock_inputs(
        request.profile.name, install_media, media.content, content.sha256
    )
    with errors.collecting("lock"):
        build_lock.require_available(lock, inputs, media.content)


def _require_memory(required_mib: int) -> None:
    total_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    if total_mib < required_mib:
        raise ResourceError(
            f"machine.memory: the build needs {required_mib} MiB, this machine has {total_mib} MiB",
            hint="choose a smaller machine in your own profile, or build on a larger one",
        )


def _require_guest_memory(profile: Profile, packages: MediaPackages | None) -> None:
    base = packages.base if packages else None
    package_count = len(base.requested) + len(base.dependencies) if base else 0
    required_mib = guest_memory_mib(profile, package_count)
    if profile.machine.memory_mib < required_mib:
        raise ResourceError(
            f"machine.memory: expected at least {required_mib} MiB for the packages and layers of"
            f" {profile.name}, got {profile.machine.memory_mib} MiB",
            hint="set machine.memory in your own profile",
        )
