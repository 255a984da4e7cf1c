"""The options that say how a target is reached."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import click

from hardpan.builder.vm.qcow2_header import require_self_contained
from hardpan.core.console import prompt_secret
from hardpan.core.errors import InputError
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
        default=_BUILD_USER,
        show_default=True,
        help="Login of an image: target; --identity is its key.",
    ),
    click.option(
        "--image-firmware",
        type=click.Choice(["bios", "uefi"]),
        default="bios",
        show_default=True,
        help="Firmware that boots an image: target.",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """The values of the options."""

    ssh_config: Path | None
    identity: Path | None
    known_hosts: Path | None
    host_keys: tuple[str, ...]
    trust_new_host_key: bool
    transport: str
    image_user: str
    image_firmware: Literal["bios", "uefi"]
    cloud_init: bool
    ask_ssh_password: bool
    ask_sudo_password: bool

    def parse(self, target: str) -> AnyTarget | ImageTarget:
        """Return the target.

        Raises:
            InputError: the target or a file of the options is invalid.
        """
        if target == LOCAL:
            self._refuse_ssh_options()
            return find_local_target()
        if target.startswith(IMAGE_PREFIX):
            return self._parse_image(Path(target.removeprefix(IMAGE_PREFIX)))
        return parse_target(
            target,
            ssh_config=self.ssh_config,
            identity=self.identity,
            host_keys=self.host_keys,
            known_hosts=self.known_hosts,
            trust_new_host_key=self.trust_new_host_key,
            password=prompt_secret("password of the login") if self.ask_ssh_password else "",
        )

    def _parse_image(self, path: Path) -> ImageTarget:
        if self.ssh_config or self.known_hosts:
            raise InputError(
                f"{IMAGE_PREFIX}{path}: expected neither --ssh-config nor --known-hosts: a new "
                "guest is in neither of them"
            )
        if self.ask_ssh_password:
            raise InputError(f"{IMAGE_PREFIX}{path} --ask-ssh-password: expected a key")
        require_self_contained(path)
        return ImageTarget(
            path=path,
            user=validate_user(self.image_user, "--image-user"),
            identity=self.identity,
            uses_cloud_init=self.cloud_init,
            firmware=self.image_firmware,
            host_keys=self.host_keys,
            trust_new_host_key=self.trust_new_host_key,
        )

    def _refuse_ssh_options(self) -> None:
        names = ("ssh_config", "identity", "known_hosts", "host_keys", "trust_new_host_key")
        for name in (*names, "ask_ssh_password"):
            if getattr(self, name):
                option = "--" + name.removesuffix("s" if name == "host_keys" else "")
                raise InputError(
                    f"{LOCAL} {option.replace('_', '-')}: expected no SSH option, because this "
                    "machine is scanned without SSH"
                )

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
