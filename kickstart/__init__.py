"""Render and lint kickstarts. Pure: no process, no network."""

from hardpan.kickstart.boot import CONSOLE_ARGUMENTS, boot_arguments, make_volume_label
from hardpan.kickstart.lint.linter import lint_kickstart, lint_or_raise
from hardpan.kickstart.quoting import KickstartError
from hardpan.kickstart.render import contains_secret, render_kickstart
from hardpan.kickstart.syntax import LintProblem

__all__ = [
    "CONSOLE_ARGUMENTS",
    "KickstartError",
    "LintProblem",
    "boot_arguments",
    "contains_secret",
    "lint_kickstart",
    "lint_or_raise",
    "make_volume_label",
    "render_kickstart",
]
