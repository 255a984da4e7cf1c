"""Profile -> kickstart text, and the linter for kickstarts. Pure: no process, no network."""

from kickstart.boot import boot_arguments, volume_label
from kickstart.lint import checked, lint
from kickstart.render import holds_secret, render
from kickstart.syntax import Problem
from kickstart.words import KickstartError

__all__ = [
    "KickstartError",
    "Problem",
    "boot_arguments",
    "checked",
    "holds_secret",
    "lint",
    "render",
    "volume_label",
]
