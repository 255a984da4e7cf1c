"""What a layer needs of the distribution before it can be put on: the installer brings it.

A sealed image reaches no repository, so these lie in ``%packages`` of the kickstart.
"""

from collections.abc import Mapping

OS_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "audit": ("audit", "rsyslog"),
    "tuning": ("tuned",),
    "ai_service": ("nftables", "nginx"),
}
"""Layer -> packages of the distribution, for the layers that need any."""


def with_layer_packages(install: tuple[str, ...], layers: tuple[str, ...]) -> tuple[str, ...]:
    """The packages to install, and behind them what the layers need and nobody named."""
    layer_packages = (name for layer in layers for name in OS_PACKAGES.get(layer, ()))
    return tuple(dict.fromkeys((*install, *layer_packages)))
