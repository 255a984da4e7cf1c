"""Profile -> kickstart text, and the linter for kickstarts. Pure: no process, no network."""

from hardpan.kickstart.boot import boot_arguments, volume_label
from hardpan.kickstart.lint import checked, lint
from hardpan.kickstart.render import holds_secret, render
from hardpan.kickstart.syntax import Problem
from hardpan.kickstart.words import KickstartError

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
