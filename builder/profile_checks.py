"""Checks of a profile before a build starts."""

from hardpan.builder import python_stacks
from hardpan.builder.layers import registry, vendor_packages
from hardpan.builder.offline.payload import require_possible
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog import eula


def collect_profile_errors(
    profile: Profile, *, builds_image: bool, offline: bool = False
) -> ErrorCollector:
    """Collect everything in the profile that prevents a build, as far as the profile shows it.

    Errors are ``InputError``: a licence is not accepted, or for an image its machines would share
    a disk key, a layer is not built yet, its guest cannot reach a repository, or a stack has no
    lock. With ``offline`` a layer may need a network.
    """
    errors = ErrorCollector()
    with errors.collecting("licences"):
        eula.require_accepted_eulas(profile)
    if builds_image:
        with errors.collecting("encryption"):
            _require_separate_disk_keys(profile)
    if offline:
        with errors.collecting("layers"):
            require_possible(profile)
    elif builds_image:
        with errors.collecting("layers"):
            registry.check_layers(profile)
        with errors.collecting("layers"):
            vendor_packages.check_reachable(profile)
    if builds_image or offline:
        with errors.collecting("stacks"):
            python_stacks.check_locks(profile)
    return errors


def _require_separate_disk_keys(profile: Profile) -> None:
    """Pass if each machine that is started from the image gets a disk key of its own.

    Raises:
        InputError: it would share the key of the volume and the passphrase with all others.
    """
    encryption = profile.storage.encryption
    if encryption.mode == "luks2" and not encryption.is_bound:
        raise InputError(
            f"{profile.name}: storage.encryption: all machines from one image would share the key"
            " of the disk: expected 'unlock: tpm2' or 'unlock: tang', got 'unlock: passphrase'",
            hint="with these each machine re-encrypts its disk at its first boot; or build the ISO"
            " alone, whose installs have keys of their own: --format iso",
        )
