"""Profile -> kickstart text, and the linter for kickstarts. Pure: no process, no network."""

from hardpan.kickstart.boot import boot_arguments, make_volume_label
from hardpan.kickstart.lint import lint_kickstart, lint_or_raise
from hardpan.kickstart.render import contains_secret, render_kickstart
from hardpan.kickstart.syntax import LintProblem
from hardpan.kickstart.words import KickstartError

__all__ = [
    "KickstartError",
    "LintProblem",
    "boot_arguments",
    "lint_or_raise",
    "contains_secret",
    "lint_kickstart",
    "render_kickstart",
    "make_volume_label",
]
