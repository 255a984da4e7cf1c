"""Kernel modules of a vendor for the installed kernel: built in the guest, signed on this machine.

The role ``kernel_modules`` builds them by DKMS in the guest, exports them unsigned, and removes
everything that the build needed. Here they are signed and packed as one RPM, which the layer's
role installs like a vendor's precompiled one. So the image has no compiler, and the private key
never leaves this machine.
"""

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hardpan.builder import python_stacks
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import STAGE, LayerTask
from hardpan.builder.python_stacks.signing import sign_rpms
from hardpan.builder.rpm import build_rpm
from hardpan.core.errors import ToolError
from hardpan.core.events import StageMessage
from hardpan.signing.kernel_module import ModuleKey, ensure_module_key, sign_module

CERTIFICATE = "etc/pki/hardpan/module-signing.der"
"""The key's certificate in the image, for enrolment by mokutil or in the firmware."""

_SOURCE_DATE_EPOCH = 1_577_836_800
"""2020-01-01, as for the Python stacks: the bytes do not depend on the day of the build."""

_MAX_MODULES = 64
_MAX_MODULE_BYTES = 512 << 20
_MAX_OUTCOME_BYTES = 4096
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.ko", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,128}", re.ASCII)

State = Literal["installed", "precompiled", "built"]
_STATES: tuple[State, ...] = ("installed", "precompiled", "built")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePackage:
    """The package of a vendor's kernel modules."""

    dkms_name: str
    """Name of their source in DKMS, e.g. ``nvidia``."""

    name: str
    """Name without the kernel's version, e.g. ``kmod-nvidia-580.178.04``."""

    version: str
    licence: str
    epoch: int = 0
    provides: tuple[str, ...] = ()

    @property
    def variables(self) -> dict[str, object]:
        """The package as the vendor roles describe one."""
        fields = {"name": self.name, "version": self.version, "of_kernel": "name"}
        return {**fields, "lock": True, "local": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModules:
    """What the role ``kernel_modules`` found or built."""

    state: State
    name: str
    """Name of the package with the kernel's version."""

    kernel_package: str
    """Version and release of kernel-core, e.g. ``5.14.0-611.5.1.el9_7``."""

    kernel_release: str
    """The kernel's folder below /lib/modules."""

    modules: Mapping[str, bytes]
    """File name -> unsigned module; empty unless ``state`` is ``built``."""


def build_modules(
    task: LayerTask, package: ModulePackage, request: Mapping[str, object]
) -> tuple[BuiltModules, LayerResult]:
    """Run the role and read what it exported.

    Raises:
        ToolError: the build failed, or its archive is malformed.
    """
    workdir = task.workdir / "modules"
    workdir.mkdir(mode=0o700)
    archive = workdir / "modules.tar"
    role_task = replace(task, layer="kernel_modules", workdir=workdir)
    variables = role_variables(package, request)
    result = role_task.run({"kernel_modules_archive": str(archive), **variables})
    return read_archive(archive, package), result


def role_variables(package: ModulePackage, request: Mapping[str, object]) -> dict[str, object]:
    """Return the role's variables except the archive; ``request`` has packages and repositories."""
    fields = {"name": package.dkms_name, "result": package.variables}
    return {"kernel_modules_request": {**request, **fields}}


def pack_modules(task: LayerTask, package: ModulePackage, built: BuiltModules) -> Path:
    """Sign the modules, and pack them as one signed RPM in the task's workdir.

    Raises:
        ToolError: rpmbuild, rpmsign or gpg is missing or failed.
        InputError: the key cannot be read.
    """
    key = ensure_module_key(task.cache / "module-key")
    workdir = task.workdir / "modules"
    root = workdir / "root"
    folder = root / "usr/lib/modules" / built.kernel_release / "extra/hardpan"
    files = {folder / name: sign_module(data, key) for name, data in built.modules.items()}
    files[root / CERTIFICATE] = key.certificate.read_bytes()
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
    rpm = build_rpm(
        render_spec(package, built), root, workdir, source_date_epoch=_SOURCE_DATE_EPOCH
    )
    sign_rpms([rpm], python_stacks.load_site_key(task.cache))
    _emit_enrolment(task, key, built)
    return rpm


def render_spec(package: ModulePackage, built: BuiltModules) -> str:
    """Render the spec file of the modules' package."""
    depmod = f"/sbin/depmod -a {built.kernel_release} || :"
    lines = [
        f"Name: {built.name}",
        f"Epoch: {package.epoch}",
        f"Version: {package.version}",
        "Release: 1.hardpan",
        f"Summary: Kernel modules {package.dkms_name} for {built.kernel_release}, signed",
        f"License: {package.licence}",
        "AutoReqProv: no",
        f"Requires: kernel-core = {built.kernel_package}",
        *(f"Provides: {x}" for x in package.provides),
        "%description",
        f"Built by DKMS for {built.kernel_release}, and signed on the build machine.",
        "%files",
        "%defattr(-,root,root,-)",
        f"/usr/lib/modules/{built.kernel_release}/extra/hardpan",
        f"/{CERTIFICATE}",
        "%post",
        depmod,
        "%postun",
        depmod,
    ]
    return "\n".join(lines) + "\n"


def read_archive(archive: Path, package: ModulePackage) -> BuiltModules:
    """Read what the guest exported; its names and sizes are checked.

    Raises:
        ToolError: it is malformed, or a name or a size is not allowed.
    """
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                limit = _MAX_OUTCOME_BYTES if member.name == "outcome.json" else _MAX_MODULE_BYTES
                is_expected = member.name == "outcome.json" or _FILE_NAME.fullmatch(member.name)
                if not (member.isreg() and is_expected and member.size <= limit):
                    raise _malformed(f"the file {member.name[:100]!a} of {member.size} bytes")
                stream = tar.extractfile(member)
                members[member.name] = stream.read() if stream is not None else b""
                if len(members) > _MAX_MODULES:
                    raise _malformed(f"more than {_MAX_MODULES} files")
    except (OSError, tarfile.TarError) as e:
        raise _malformed(f"no archive: {e}") from e
    return _read_outcome(members, package)


def _read_outcome(members: dict[str, bytes], package: ModulePackage) -> BuiltModules:
    try:
        outcome = json.loads(members.pop("outcome.json", b"null"))
    except ValueError as e:
        raise _malformed("an outcome that is not JSON") from e
    values = outcome if isinstance(outcome, dict) else {}
    state = next((s for s in _STATES if s == values.get("state")), None)
    names = {k: str(values.get(k, "")) for k in ("name", "kernel_package", "kernel_release")}
    if state is None or not all(_VERSION.fullmatch(value) for value in names.values()):
        raise _malformed(f"the outcome {str(outcome)[:200]!a}")
    if not names["name"].startswith(f"{package.name}-") or (state == "built") != bool(members):
        raise _malformed(f"{state} as {names['name']!a} with {len(members)} modules")
    return BuiltModules(state=state, **names, modules=members)


def _emit_enrolment(task: LayerTask, key: ModuleKey, built: BuiltModules) -> None:
    text = (
        f"{task.layer}: {len(built.modules)} modules signed; with Secure Boot enrol /{CERTIFICATE}"
        f" (sha256 {key.sha256}) by mokutil --import or in the firmware's db"
    )
    task.emit(StageMessage(stage=STAGE, text=text))


def _malformed(problem: str) -> ToolError:
    return ToolError(["kernel_modules"], f"expected the guest's kernel modules, got {problem}")
