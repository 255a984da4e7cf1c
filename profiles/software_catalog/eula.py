"""Vendor licences must be accepted in the profile before anything is built."""

from hardpan.core.errors import InputError
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import plan_packages


def unaccepted_packages(profile: Profile) -> tuple[str, ...]:
    """Return the packages whose licence the profile must accept and does not."""
    nvidia = profile.hardware.nvidia
    if nvidia and nvidia.accept_eula:
        return ()
    packages = (
        w.package for layer in plan_packages(profile) for w in layer.packages or () if w.eula
    )
    return tuple(dict.fromkeys(packages))


def require_accepted_eulas(profile: Profile) -> None:
    """Check that every licence that requires acceptance is accepted.

    Raises:
        InputError: a licence is not accepted; the message lists its packages.
    """
    packages = unaccepted_packages(profile)
    if packages:
        raise InputError(
            f"{profile.name}: hardware.nvidia.accept_eula: expected true, since the layers install"
            f" {', '.join(packages)} under NVIDIA's licences; got false",
            hint="read the licences and set it in your profile; 'hardpan render' works without it",
        )
