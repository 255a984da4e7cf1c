"""Semantic linter for kickstart texts, in addition to ksvalidator.

ksvalidator checks the syntax only. It accepts undefined volume groups, unknown file systems and
invalid scripts (tested on RHEL 9 and RHEL 10), which fail an install after minutes.
"""

from collections.abc import Callable, Iterator

from hardpan.kickstart.lint import encryption, policy, storage
from hardpan.kickstart.quoting import KickstartError
from hardpan.kickstart.syntax import KickstartDocument, LintProblem, parse_kickstart
from hardpan.profiles.schema.profile import LAB_RELEASES

MAX_KICKSTART_BYTES = 1 << 20
"""Shipped profiles have some 20 KiB. The initramfs that fetches it has little memory."""

ShellCheck = Callable[[str], str]
"""Returns the syntax error of a script, or an empty string."""

_REMOVED_EL10 = {
    "auth": "authselect",
    "authconfig": "authselect",
    "autostep": "nothing",
    "btrfs": "logvol",
    "install": "nothing",
    "method": "url",
    "nvdimm": "nothing",
}
_REMOVED_OPTIONS_EL10 = {
    ("logging", "level"): "nothing",
    ("repo", "ignoregroups"): "nothing",
    ("timezone", "isUtc"): "--utc",
    ("timezone", "ntpservers"): "timesource",
    ("timezone", "nontp"): "timesource --ntp-disable",
}
_ADDONS = {
    "rocky9": ("com_redhat_kdump", "com_redhat_oscap", "org_fedora_oscap"),
    "rocky10": ("com_redhat_kdump",),
    "lab9": (),
    "lab10": (),
}
_RESERVED_REPOS = (
    *("anaconda", "appstream", "baseos", "development", "extras", "fedora", "rawhide"),
    *("updates", "updates-testing"),
)
_OSCAP = ("com_redhat_oscap", "org_fedora_oscap")


def lint_kickstart(
    text: str, release: str, *, shell_check: ShellCheck | None = None
) -> tuple[LintProblem, ...]:
    """Return the problems of a kickstart for ``release`` (rocky9, rocky10, lab9, lab10), by line.

    ``shell_check`` is called for each script; this module starts no process.
    """
    document = parse_kickstart(text)
    problems = [
        *document.problems,
        *_check_removed_commands(document, release),
        *_check_addons(document, release),
        *_check_repos(document),
        *_check_scripts(document, shell_check),
        *storage.storage_problems(document),
        *encryption.encryption_problems(document),
        *policy.policy_problems(document, release),
    ]
    return tuple(sorted(problems, key=lambda p: (p.line == 0, p.line, p.text)))


def lint_or_raise(text: str, release: str, *, shell_check: ShellCheck | None = None) -> str:
    """Return ``text`` if the linter finds no problem.

    Raises:
        KickstartError: it is too long, or has problems; all are reported.
    """
    size = len(text.encode("utf-8"))
    if size > MAX_KICKSTART_BYTES:
        raise KickstartError(
            f"the kickstart: too long: expected at most {MAX_KICKSTART_BYTES} bytes, got {size}",
            hint="shorten what the profile adds to it: ssh_keys of users, partitions, packages",
        )
    problems = lint_kickstart(text, release, shell_check=shell_check)
    if problems:
        raise KickstartError("the kickstart has problems\n" + "\n".join(map(str, problems)))
    return text


def _check_removed_commands(document: KickstartDocument, release: str) -> Iterator[LintProblem]:
    if release not in ("rocky10", "lab10"):
        return
    for command in document.commands:
        if command.name in _REMOVED_EL10:
            replacement = _REMOVED_EL10[command.name]
            yield LintProblem(
                line=command.line, text=f"EL10 has no {command.name}; instead: {replacement}"
            )
        for option in command.options:
            if (command.name, option) in _REMOVED_OPTIONS_EL10:
                replacement = _REMOVED_OPTIONS_EL10[command.name, option]
                yield LintProblem(
                    line=command.line,
                    text=f"EL10 has no {command.name} --{option}; instead: {replacement}",
                )


def _check_addons(document: KickstartDocument, release: str) -> Iterator[LintProblem]:
    allowed = _ADDONS.get(release, ())
    for section in document.sections:
        if section.name != "%addon":
            continue
        name = section.arguments[0] if section.arguments else ""
        if name in allowed:
            continue
        if name in _OSCAP and release in ("rocky10", "lab10"):
            yield LintProblem(line=section.line, text=f"EL10's installer has no {name} addon")
        else:
            yield LintProblem(line=section.line, text=f"unknown %addon {name!a} for {release}")
    if release not in LAB_RELEASES and not any(
        s.name == "%addon" and s.arguments[:2] == ("com_redhat_kdump", "--disable")
        for s in document.sections
    ):
        yield LintProblem(
            line=0,
            text="expected '%addon com_redhat_kdump --disable': 'services --disabled' leaves it on",
        )


def _check_repos(document: KickstartDocument) -> Iterator[LintProblem]:
    for command in document.commands_named("repo"):
        name = command.options.get("name", "")
        if name.lower() in _RESERVED_REPOS:
            yield LintProblem(line=command.line, text=f"repo --name={name} is reserved")


def _check_scripts(
    document: KickstartDocument, shell_check: ShellCheck | None
) -> Iterator[LintProblem]:
    for script in document.scripts():
        if script.name != "%onerror" and "--erroronfail" not in script.arguments:
            yield LintProblem(
                line=script.line,
                text=f"{script.name} without --erroronfail: failures would be ignored",
            )
        is_shell = not any(w.startswith("--interpreter") for w in script.arguments)
        if shell_check is not None and is_shell:
            error = shell_check(script.body)
            if error:
                yield LintProblem(
                    line=script.line, text=f"{script.name} is not valid shell: {error}"
                )
