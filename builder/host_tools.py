"""External programs that hardpan runs on this host, and how to install them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.vm.probe import QEMU, find_qemu
from hardpan.core.errors import ToolError
from hardpan.core.process import find_program as find_on_path
from hardpan.profiles.schema.profile import Profile

_VENV_BIN = Path(sys.executable).parent
_ISO_PROGRAMS = ("xorriso", "mcopy", "implantisomd5", "checkisomd5", "ssh-keygen")
_IMAGE_PROGRAMS = ("qemu-img", "ansible-playbook")
_RPM_PROGRAMS = ("rpmbuild", "rpmsign", "gpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTool:
    """An external program."""

    program: str
    apt: str
    dnf: str
    version_arguments: tuple[str, ...] = ("--version",)
    """Arguments that print its version; empty if it has none."""

    purpose: str = ""
    is_optional: bool = False

    @property
    def install_hint(self) -> str:
        """How to install it."""
        if self.apt.startswith(("make ", "pip ")):
            return self.apt
        return f"apt install {self.apt} | dnf install {self.dnf}"


TOOLS = (
    HostTool(program=QEMU, apt="qemu-system-x86", dnf="qemu-kvm", purpose="runs the guests"),
    HostTool(program="qemu-img", apt="qemu-utils", dnf="qemu-img", purpose="disk images"),
    HostTool(program="xorriso", apt="xorriso", dnf="xorriso", purpose="remasters ISOs"),
    HostTool(program="mcopy", apt="mtools", dnf="mtools", purpose="edits the EFI boot menu"),
    HostTool(
        program="implantisomd5",
        apt="isomd5sum",
        dnf="isomd5sum",
        version_arguments=(),
        purpose="the media check of the installer",
    ),
    HostTool(
        program="checkisomd5",
        apt="isomd5sum",
        dnf="isomd5sum",
        version_arguments=(),
        purpose="the media check of the installer",
    ),
    HostTool(
        program="oscap", apt="openscap-scanner", dnf="openscap-scanner", purpose="checks content"
    ),
    HostTool(
        program="ssh-keygen", apt="openssh-client", dnf="openssh-clients", version_arguments=()
    ),
    HostTool(program="openssl", apt="openssl", dnf="openssl", version_arguments=("version",)),
    HostTool(
        program="mmdebstrap",
        apt="mmdebstrap",
        dnf="-",
        purpose="builds the lab media (Debian and Ubuntu only)",
        is_optional=True,
    ),
    HostTool(
        program="createrepo_c",
        apt="createrepo-c",
        dnf="createrepo_c",
        purpose="builds the lab media",
        is_optional=True,
    ),
    HostTool(
        program="mksquashfs",
        apt="squashfs-tools",
        dnf="squashfs-tools",
        version_arguments=("-version",),
        purpose="builds the lab media",
        is_optional=True,
    ),
    HostTool(
        program="rpmbuild",
        apt="rpm",
        dnf="rpm-build",
        purpose="packs the Python stacks and the lab media",
        is_optional=True,
    ),
    HostTool(
        program="rpmsign",
        apt="rpm",
        dnf="rpm-sign",
        purpose="signs the Python stacks",
        is_optional=True,
    ),
    HostTool(
        program="gpg",
        apt="gpg gpg-agent",
        dnf="gnupg2",
        purpose="the site's package signing key",
        is_optional=True,
    ),
    HostTool(
        program="gpgv",
        apt="gpgv",
        dnf="gnupg2",
        purpose="verifies signed checksums of media",
        is_optional=True,
    ),
    HostTool(
        program="cmake",
        apt="cmake ninja-build g++",
        dnf="cmake ninja-build gcc-c++",
        purpose="builds stack packages that have no wheel",
        is_optional=True,
    ),
    HostTool(
        program="cosign",
        apt="make setup-cosign",
        dnf="-",
        version_arguments=(),
        purpose="an independent verifier",
        is_optional=True,
    ),
    HostTool(
        program="ansible-playbook",
        apt="pip install 'hardpan[build]'",
        dnf="-",
        purpose="applies the layers",
    ),
    HostTool(
        program="ksvalidator",
        apt="pip install 'hardpan[tools]'",
        dnf="-",
        version_arguments=(),
        purpose="validates kickstarts in addition to hardpan's linter",
        is_optional=True,
    ),
    HostTool(
        program="pkcs11-tool",
        apt="opensc p11-kit-modules",
        dnf="opensc p11-kit",
        version_arguments=(),
        purpose="signs with keys in tokens and HSMs",
        is_optional=True,
    ),
    HostTool(
        program="tpm2_sign",
        apt="tpm2-tools",
        dnf="tpm2-tools",
        purpose="signs with keys in the TPM",
        is_optional=True,
    ),
)


def find_program(program: str) -> Path | None:
    """Return the path of a program in this virtual environment or in ``PATH``, or None."""
    if program == QEMU:
        return find_qemu()
    venv_program = _VENV_BIN / program
    return venv_program if venv_program.is_file() else find_on_path(program)


def missing_tools(profile: Profile, *, image: bool, offline: bool = False) -> Iterator[ToolError]:
    """Yield an error for each missing program that building ``profile`` requires.

    ``offline`` is for an ISO with the layers' files.
    """
    tools_by_program = {tool.program: tool for tool in TOOLS}
    for program in _required_programs(profile, image=image, offline=offline):
        if find_program(program) is None:
            yield ToolError(
                [program], "is not installed", hint=tools_by_program[program].install_hint
            )


def _required_programs(profile: Profile, *, image: bool, offline: bool) -> tuple[str, ...]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    if not image and not offline:
        return _ISO_PROGRAMS
    makes_rpms = {"ml_frameworks", "nvidia_driver", "amd_driver"} & set(profile.layers)
    has_stacks = "ml_frameworks" in profile.layers
    return (
        *_ISO_PROGRAMS,
        *(_IMAGE_PROGRAMS if image else ()),
        *(_RPM_PROGRAMS if makes_rpms else ()),
        *(("cmake",) if has_stacks and any(s.sources for s in stacks) else ()),
    )
