"""The options that say how a target is reached."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import click

from hardpan.builder.vm.qcow2_header import require_self_contained
from hardpan.core.console import prompt_secret
from hardpan.core.errors import UsageError
from hardpan.profiles.schema.machine import FirmwareKind
from hardpan.ssh.destination import validate_user
from hardpan.ssh.local_target import LOCAL, AnyTarget, find_local_target
from hardpan.ssh.target import parse_target
from hardpan.ssh.transport_kind import SELECTABLE_TRANSPORTS, TransportKind
from hardpan.workflow.image_target import IMAGE_PREFIX, ImageTarget

_BUILD_USER = "steward"
"""Build user of the shipped profiles."""

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--ssh-config",
        type=_PATH,
        help="OpenSSH client configuration file instead of ~/.ssh/config; none: no file.",
    ),
    click.option(
        "--identity",
        type=_PATH,
        help="SSH private key, the only one to try; default: the agent's and those of the ssh "
        "configuration.",
    ),
    click.option(
        "--known-hosts",
        type=_PATH,
        help="Known hosts file; default: those of the ssh configuration.",
    ),
    click.option("--host-key", "host_keys", multiple=True, help="Pinned host key, 'type base64'."),
    click.option(
        "--trust-new-host-key",
        is_flag=True,
        help="Accept an unknown host key for this run; the evidence records it.",
    ),
    click.option(
        "--transport",
        type=click.Choice([kind.value for kind in SELECTABLE_TRANSPORTS]),
        default=TransportKind.AUTO.value,
        show_default=True,
        help="Program that carries the commands; auto: paramiko, or the system's ssh (openssh) for "
        "what paramiko lacks.",
    ),
    click.option(
        "--image-user",
        help=f"Login of an image: target; --identity is its key; default: {_BUILD_USER}.",
    ),
    click.option(
        "--image-firmware",
        type=click.Choice(get_args(FirmwareKind)),
        help="Firmware that boots an image: target; default: bios.",
    ),
    click.option(
        "--cloud-init",
        is_flag=True,
        help="Create the login of an image: target with cloud-init, for a foreign cloud image.",
    ),
    click.option(
        "--ask-ssh-password",
        is_flag=True,
        help="Prompt for the password of the login; default: only keys are tried.",
    ),
    click.option(
        "--ask-sudo-password", is_flag=True, help="Prompt for the sudo password of the target."
    ),
)


_NOT_FOR_IMAGES = {
    "ssh_config": "--ssh-config",
    "known_hosts": "--known-hosts",
    "ask_ssh_password": "--ask-ssh-password",
}
_SSH_OPTIONS = {
    **_NOT_FOR_IMAGES,
    "identity": "--identity",
    "host_keys": "--host-key",
    "trust_new_host_key": "--trust-new-host-key",
    "transport": "--transport",
}
_IMAGE_OPTIONS = {
    "image_user": "--image-user",
    "image_firmware": "--image-firmware",
    "cloud_init": "--cloud-init",
}
_IMAGE_REASON = f"expected a target {IMAGE_PREFIX}FILE.qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """The values of the options."""

    ssh_config: Path | None
    identity: Path | None
    known_hosts: Path | None
    host_keys: tuple[str, ...]
    trust_new_host_key: bool
    transport: str
    image_user: str | None
    image_firmware: FirmwareKind | None
    cloud_init: bool
    ask_ssh_password: bool
    ask_sudo_password: bool

    def parse(self, target: str) -> AnyTarget | ImageTarget:
        """Return the target.

        Raises:
            UsageError: an option does not fit the target.
            InputError: the target or a file of the options is invalid.
        """
        if target == LOCAL:
            reason = "expected no SSH option, because this machine is scanned without SSH"
            self._refuse(target, _SSH_OPTIONS, reason)
            self._refuse(target, _IMAGE_OPTIONS, _IMAGE_REASON)
            return find_local_target()
        if target == IMAGE_PREFIX:
            raise UsageError(f"{target}: expected {IMAGE_PREFIX}FILE.qcow2, got no file")
        if target.startswith(IMAGE_PREFIX):
            return self._parse_image(Path(target.removeprefix(IMAGE_PREFIX)))
        self._refuse(target, _IMAGE_OPTIONS, _IMAGE_REASON)
        if self.ask_ssh_password and self.transport == TransportKind.OPENSSH:
            raise UsageError(
                "--ask-ssh-password: expected another transport than openssh: the system's ssh "
                "gets no password"
            )
        return parse_target(
            target,
            ssh_config=self.ssh_config,
            identity=self.identity,
            host_keys=self.host_keys,
            known_hosts=self.known_hosts,
            trust_new_host_key=self.trust_new_host_key,
            password=prompt_secret("SSH password") if self.ask_ssh_password else "",
        )

    def _parse_image(self, path: Path) -> ImageTarget:
        target = f"{IMAGE_PREFIX}{path}"
        reason = "expected no such option: a new guest is in no file and has no password"
        self._refuse(target, _NOT_FOR_IMAGES, reason)
        require_self_contained(path)
        return ImageTarget(
            path=path,
            user=validate_user(self.image_user or _BUILD_USER, "--image-user"),
            identity=self.identity,
            uses_cloud_init=self.cloud_init,
            firmware=self.image_firmware or "bios",
            host_keys=self.host_keys,
            trust_new_host_key=self.trust_new_host_key,
        )

    def _refuse(self, target: str, options: Mapping[str, str], reason: str) -> None:
        """Refuse the options, field -> option, that the command line has.

        Raises:
            UsageError: it has one.
        """
        for name, option in options.items():
            if getattr(self, name) not in (None, (), False, TransportKind.AUTO):
                raise UsageError(f"{target} {option}: {reason}")

    def read_sudo_password(self) -> str:
        """Return the password that the terminal prompts for; empty without the option."""
        return prompt_secret("sudo password") if self.ask_sudo_password else ""


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that connects to a target; it gets them as ``access``."""

    @functools.wraps(command)
    def call_with_access(**values: Any) -> Any:
        access = TargetOptions(**{f.name: values.pop(f.name) for f in fields(TargetOptions)})
        return command(access=access, **values)

    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), call_with_access)
