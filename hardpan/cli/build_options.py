"""The options that ``build`` and ``prove`` share."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from hardpan.builder.build_lock import load_lock
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.cli.checksum_options import checksum_options
from hardpan.cli.content_option import content_option
from hardpan.cli.key_options import KEY_REFERENCE, passphrase_options, passphrase_source
from hardpan.core.console import print_json, print_line
from hardpan.core.errors import UsageError
from hardpan.core.xdg import cache_home
from hardpan.preflight import output
from hardpan.preflight.plan import RunPlan
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.content.datastream import ContentSelection
from hardpan.workflow.keyring import KeyRefs
from hardpan.workflow.request import BuildRequest

_PATH = click.Path(path_type=Path)
_Command = Callable[..., int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Values of the shared options, under the names of their parameters."""

    profile: str
    output: Path | None
    media: Path | None
    digest: DigestOptions
    content: ContentSelection | None
    ssh_key: Path | None
    keys: Path | None
    passphrase_file: Path | None
    passphrase_env: str
    build_key: str | None
    luks_passphrase_file: Path | None
    erase_disks: bool
    cache: Path
    stall_timeout: int | None
    install_timeout: int | None
    dry_run: bool
    explain: bool
    no_wait: bool
    locked: Path | None
    as_json: bool
    quiet: bool

    @property
    def plans_only(self) -> bool:
        """Whether nothing is written and no stage runs."""
        return self.dry_run or self.explain

    def to_request(self, *, key: str | None = None, pq_key: str | None = None) -> BuildRequest:
        """Read the profile and return the request.

        Raises:
            UsageError: an option is missing or malformed.
            InputError: the profile is invalid.
        """
        if self.output is None and not self.plans_only:
            raise UsageError("-o FOLDER is missing: expected the folder of the outputs")
        profile = load_profile(self.profile)
        return BuildRequest(
            profile=profile,
            output_folder=self.output or Path(profile.name),
            cache_folder=self.cache.absolute(),
            media=self.media,
            media_digest=self.digest,
            content=self.content,
            ssh_key_file=self.ssh_key,
            keys_folder=self.keys,
            key_refs=KeyRefs(
                scan=key,
                build=self.build_key,
                pq=pq_key,
                passphrase_source=passphrase_source(self.passphrase_file, self.passphrase_env),
            ),
            luks_passphrase_file=self.luks_passphrase_file,
            erase_disks=self.erase_disks,
            stall_timeout_s=_to_seconds(self.stall_timeout),
            install_timeout_s=_to_seconds(self.install_timeout),
            may_wait=not self.no_wait,
            lock=None if self.locked is None else load_lock(self.locked),
            invocation=("hardpan", *sys.argv[1:]),
        )


def _to_seconds(minutes: int | None) -> float | None:
    return None if minutes is None else minutes * 60.0


def build_options(command: _Command) -> _Command:
    """Add the shared options; ``command`` gets them as its first argument."""

    @functools.wraps(command)
    def call_with_options(**values: Any) -> int | None:
        shared = {field.name: values.pop(field.name) for field in fields(BuildOptions)}
        return command(BuildOptions(**shared), **values)

    options = (
        click.argument("profile"),
        click.option(
            "-o",
            "--output",
            type=_PATH,
            help="Output folder; its completed stages are reused. Optional for a dry run.",
        ),
        click.option("--media", type=_PATH, help="Install ISO; default: the catalog's."),
        checksum_options,
        content_option,
        click.option("--ssh-key", type=_PATH, help="SSH private key of the operator."),
        click.option("--keys", type=_PATH, help="Folder created by 'hardpan keys new'."),
        passphrase_options("", "File whose first line is the passphrase of the signing keys."),
        click.option(
            "--build-key",
            help=f"Key that signs the provenance instead of build.pem in --keys: {KEY_REFERENCE}.",
        ),
        click.option(
            "--luks-passphrase-file",
            type=_PATH,
            help="File whose first line is the passphrase of the LUKS volume. Mode 0600.",
        ),
        click.option(
            "--erase-disks",
            is_flag=True,
            help="Consent to an ISO that erases disks 5 s after its boot; else its menu waits.",
        ),
        click.option(
            "--cache",
            type=_PATH,
            default=cache_home,
            help="Media, base installs, AI models; default: hardpan in $XDG_CACHE_HOME.",
        ),
        click.option(
            "--stall-timeout",
            type=click.IntRange(min=1),
            metavar="MINUTES",
            help="Limit of an install without output and disk access; default: 5, emulated 20.",
        ),
        click.option(
            "--install-timeout",
            type=click.IntRange(min=1),
            metavar="MINUTES",
            help="Time limit of the whole install; default: 120, emulated 480.",
        ),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Check everything and print the plan; write and run nothing.",
        ),
        click.option(
            "--explain",
            is_flag=True,
            help="Print which stages are built or reused, and why; write and run nothing.",
        ),
        click.option(
            "--no-wait",
            is_flag=True,
            help="Exit at once if another build uses the folders; the message names it.",
        ),
        click.option(
            "--locked",
            type=_PATH,
            metavar="FILE",
            help="PROFILE.lock.json of another build: end before an image differs from it.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="Print no progress."),
    )
    decorated: _Command = call_with_options
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def print_plan(plan: RunPlan, options: BuildOptions) -> int:
    """Print what a run would do; return the exit code that it would end with before it starts."""
    if options.as_json:
        to_json = output.explain_to_json if options.explain else output.to_json
        print_json(to_json(plan))
    else:
        to_text = output.explain_to_text if options.explain else output.to_text
        for line in to_text(plan):
            print_line(line)
    return int(plan.exit_code)
