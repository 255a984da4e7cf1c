"""A vendor's licence is accepted by a person, in the profile, before anything runs."""

from hardpan.core.errors import InputError
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import plan_packages


def unaccepted_packages(profile: Profile) -> tuple[str, ...]:
    """Packages whose licence the vendor wants accepted and the profile does not accept."""
    nvidia = profile.hardware.nvidia
    if nvidia and nvidia.accept_eula:
        return ()
    packages = (
        w.package for layer in plan_packages(profile) for w in layer.packages or () if w.eula
    )
    return tuple(dict.fromkeys(packages))


def require_accepted_eulas(profile: Profile) -> None:
    """Pass if every licence that has to be accepted is.

    Raises:
        InputError: one is not; the packages it covers are named.
    """
    packages = unaccepted_packages(profile)
    if packages:
        raise InputError(
            f"{profile.name}: hardware.nvidia.accept_eula: expected true, since the layers install"
            f" {', '.join(packages)} under NVIDIA's licences; found false",
            hint="read the licences and set it in your own profile; 'hardpan render' needs no yes",
        )
