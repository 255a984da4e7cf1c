"""Distribution packages that the installer installs so that the layers can run offline."""

from hardpan.builder.layers.vendor_packages import packages_for, repositories_for
from hardpan.profiles.schema.profile import Profile

_ANSIBLE = "ansible-core"
_SCANNER = "openscap-scanner"


def list_packages(profile: Profile) -> tuple[str, ...]:
    """Return Ansible, the scanner of the layer ``stig`` and what layers install from the media.

    Packages that the profile installs anyway are among them.
    """
    names = [_ANSIBLE, *([_SCANNER] if "stig" in profile.layers else [])]
    for layer in profile.layers:
        media_ids = {r.id for r in repositories_for(profile, layer) if r.on_media}
        names += [
            package.package
            for package in packages_for(profile, layer)
            if package.repository.id in media_ids and package.purpose == "run"
        ]
    return tuple(dict.fromkeys(names))


def with_offline_packages(profile: Profile) -> Profile:
    """Return the profile with these packages among those that the installer installs."""
    install = tuple(dict.fromkeys((*profile.packages.install, *list_packages(profile))))
    packages = profile.packages.model_copy(update={"install": install})
    return profile.model_copy(update={"packages": packages})
