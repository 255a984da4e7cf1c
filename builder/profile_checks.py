"""Checks of a profile before a build starts."""

from hardpan.builder import python_stacks
from hardpan.builder.layers import registry, vendor_packages
from hardpan.core.error_collector import ErrorCollector
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog import eula


def collect_profile_errors(profile: Profile, *, builds_image: bool) -> ErrorCollector:
    """Collect everything in the profile that prevents a build, as far as the profile shows it.

    Errors are ``InputError``: a licence is not accepted, or for an image a layer is not built yet,
    its guest cannot reach a repository, or a stack has no lock.
    """
    errors = ErrorCollector()
    with errors.collecting("licences"):
        eula.require_accepted_eulas(profile)
    if builds_image:
        with errors.collecting("layers"):
            registry.check_layers(profile)
        with errors.collecting("layers"):
            vendor_packages.check_reachable(profile)
        with errors.collecting("stacks"):
            python_stacks.check_locks(profile)
    return errors
