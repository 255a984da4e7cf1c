"""Distribution packages that a layer requires; the installer installs them.

A booted image reaches no repository, so the packages are in ``%packages`` of the kickstart.
"""

from collections.abc import Mapping

OS_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "audit": ("audit", "rsyslog"),
    "tuning": ("tuned",),
    "ai_service": ("nftables", "nginx"),
}
"""Layer -> distribution packages; layers without packages are omitted."""


def with_layer_packages(install: tuple[str, ...], layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages to install, followed by the layers' packages that are not listed yet."""
    layer_packages = (name for layer in layers for name in OS_PACKAGES.get(layer, ()))
    return tuple(dict.fromkeys((*install, *layer_packages)))
