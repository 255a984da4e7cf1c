"""The programs that hardpan runs on this machine, and how to get them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.machine.probe import QEMU
from hardpan.errors import ToolError
from hardpan.process import which
from hardpan.profiles.model import Profile

_BIN = Path(sys.executable).parent
_ISO = ("xorriso", "mcopy", "implantisomd5", "checkisomd5", "ssh-keygen")
_IMAGE = ("qemu-img", "ansible-playbook")
_STACKS = ("rpmbuild", "rpmsign", "gpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program hardpan runs."""

    program: str
    apt: str
    dnf: str
    version: tuple[str, ...] = ("--version",)
    """Arguments that make it tell its version; none where it has no such thing."""

    why: str = ""
    optional: bool = False

    @property
    def mend(self) -> str:
        """How to get it."""
        if self.apt.startswith(("make ", "pip ")):
            return self.apt
        return f"apt install {self.apt} | dnf install {self.dnf}"


TOOLS = (
    Tool(program=QEMU, apt="qemu-system-x86", dnf="qemu-kvm", why="runs the guests"),
    Tool(program="qemu-img", apt="qemu-utils", dnf="qemu-img", why="disk images"),
    Tool(program="xorriso", apt="xorriso", dnf="xorriso", why="remasters ISOs"),
    Tool(program="mcopy", apt="mtools", dnf="mtools", why="edits the EFI boot menu"),
    Tool(
        program="implantisomd5",
        apt="isomd5sum",
        dnf="isomd5sum",
        version=(),
        why="the media check of the installer",
    ),
    Tool(
        program="checkisomd5",
        apt="isomd5sum",
        dnf="isomd5sum",
        version=(),
        why="the media check of the installer",
    ),
    Tool(program="oscap", apt="openscap-scanner", dnf="openscap-scanner", why="checks content"),
    Tool(program="ssh-keygen", apt="openssh-client", dnf="openssh-clients", version=()),
    Tool(program="openssl", apt="openssl", dnf="openssl", version=("version",)),
    Tool(
        program="mmdebstrap",
        apt="mmdebstrap",
        dnf="-",
        why="builds the lab media (Debian and Ubuntu only)",
        optional=True,
    ),
    Tool(
        program="createrepo_c",
        apt="createrepo-c",
        dnf="createrepo_c",
        why="builds the lab media",
        optional=True,
    ),
    Tool(
        program="mksquashfs",
        apt="squashfs-tools",
        dnf="squashfs-tools",
        version=("-version",),
        why="builds the lab media",
        optional=True,
    ),
    Tool(
        program="rpmbuild",
        apt="rpm",
        dnf="rpm-build",
        why="packs the Python stacks and the lab media",
        optional=True,
    ),
    Tool(
        program="rpmsign",
        apt="rpm",
        dnf="rpm-sign",
        why="signs the Python stacks",
        optional=True,
    ),
    Tool(
        program="gpg",
        apt="gpg gpg-agent",
        dnf="gnupg2",
        why="the site's key for packages",
        optional=True,
    ),
    Tool(
        program="cmake",
        apt="cmake ninja-build g++",
        dnf="cmake ninja-build gcc-c++",
        why="builds the stacks' packages that are published as source",
        optional=True,
    ),
    Tool(
        program="cosign",
        apt="make setup-cosign",
        dnf="-",
        version=(),
        why="an independent verifier",
        optional=True,
    ),
    Tool(
        program="ansible-playbook",
        apt="pip install 'hardpan[build]'",
        dnf="-",
        why="applies the layers",
    ),
    Tool(
        program="ksvalidator",
        apt="pip install 'hardpan[tools]'",
        dnf="-",
        version=(),
        why="a second opinion on kickstarts",
        optional=True,
    ),
    Tool(
        program="pkcs11-tool",
        apt="opensc p11-kit-modules",
        dnf="opensc p11-kit",
        version=(),
        why="signs with keys in tokens and HSMs",
        optional=True,
    ),
    Tool(
        program="tpm2_sign",
        apt="tpm2-tools",
        dnf="tpm2-tools",
        why="signs with keys in the TPM",
        optional=True,
    ),
)


def path_of(program: str) -> Path | None:
    """Where a program lies: beside this Python, or where this machine keeps its own."""
    own = _BIN / program
    return own if own.is_file() else which(program)


def lacking(profile: Profile, *, image: bool) -> Iterator[ToolError]:
    """An error for each program that building ``profile`` runs and this machine lacks."""
    known = {tool.program: tool for tool in TOOLS}
    for program in _needed(profile, image=image):
        if path_of(program) is None:
            yield ToolError([program], "is not installed", hint=known[program].mend)


def _needed(profile: Profile, *, image: bool) -> tuple[str, ...]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    if not image:
        return _ISO
    if "ml_frameworks" not in profile.layers:
        return _ISO + _IMAGE
    return (*_ISO, *_IMAGE, *_STACKS, *(("cmake",) if any(s.sources for s in stacks) else ()))
