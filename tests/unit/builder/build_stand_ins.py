"""Stand-ins of guests and qemu-img: a disk is a text file with one line for each change.

A stand-in of a guest appends lines to the overlay that it writes to. An overlay starts with the
path of its backing file, so that a test can read a whole chain.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.builder import hardening, pipeline, sysprep
from hardpan.builder.artifacts import (
    Assessment,
    DiskImage,
    InstallMedia,
    LayerResult,
    SshAccess,
)
from hardpan.builder.build_lock import BuildLock
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.layers.base import Layer
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.probe import Acceleration
from hardpan.core.events import Emit, discard
from hardpan.core.files import MiB, Sha256, sha256_file
from hardpan.profiles.schema.profile import Profile

CONTENT = Sha256("0" * 64)
HEADERS = {"bash-0:5.2-1.x86_64": "e" * 64}
OPERATOR_KEY = "ssh-rsa AAAAB3Nz operator@example"


@dataclass
class StandInGuest:
    """What was done to guests, in order."""

    calls: list[str] = field(default_factory=list)
    specs: list[VmSpec] = field(default_factory=list)
    disk: Path = Path()
    failing_layer: str = ""

    @contextmanager
    def boot(self, spec: VmSpec, *_: object, **__: object) -> Iterator[tuple[object, object]]:
        """Stand in for ``boot_machine``."""
        self.specs.append(spec)
        self.disk = spec.disk
        self.calls.append("boot")
        yield "guest", SimpleNamespace(switch_disk=self.switch_disk)
        self.calls.append("power off")

    def switch_disk(self, overlay: Path) -> None:
        """Write to ``overlay`` from now on."""
        self.disk = overlay
        self.calls.append("switch")

    def write(self, line: str) -> None:
        """Append a line to the disk."""
        self.calls.append(line)
        with self.disk.open("a") as file:
            file.write(f"{line}\n")

    def apply_layer(self, layer: Layer, profile: Profile, *_: Any, **__: object) -> LayerResult:
        """Stand in for ``registry.apply_layer``."""
        if layer.name == self.failing_layer:
            raise RuntimeError(layer.name)
        self.write(f"layer {layer.name} {len(profile.stig.waivers)}")
        return LayerResult(layer=layer.name, changed_tasks=1, duration_s=1.0)

    def generalize(self, _shell: object, key: sysprep.BuildKey | None) -> tuple[str, ...]:
        """Stand in for ``sysprep.generalize``."""
        self.write(f"generalize {key.user if key else 'no key'}")
        return ("bash-0:5.2-1.x86_64",)

    def run(self, script: str, **_: object) -> None:
        """Stand in for a root shell."""
        self.calls.append(script.rpartition("/")[2])

    def assess(self, _guest: object) -> Assessment:
        """Stand in for the scan before hardening."""
        self.calls.append("assess")
        return Assessment(content_sha256=CONTENT, counts={"fail": 3}, fixes=())


def install(monkeypatch: pytest.MonkeyPatch) -> StandInGuest:
    """Replace guests and qemu-img."""
    guest = StandInGuest()
    monkeypatch.setattr(hardening, "boot_machine", guest.boot)
    monkeypatch.setattr(hardening, "create_overlay", create_overlay)
    monkeypatch.setattr(hardening, "check_disk", lambda _path: guest.calls.append("check"))
    monkeypatch.setattr(hardening, "require_free_space", lambda *_a, **_b: None)
    monkeypatch.setattr(hardening.registry, "apply_layer", guest.apply_layer)
    monkeypatch.setattr(hardening.sysprep, "generalize", guest.generalize)
    monkeypatch.setattr(hardening.guest_clock, "require_matching_clock", lambda _shell: 0)
    monkeypatch.setattr(hardening, "_read_package_headers", lambda _shell: HEADERS)
    monkeypatch.setattr(hardening.sysprep, "settle", lambda _shell: guest.calls.append("settle"))
    monkeypatch.setattr(hardening.sysprep, "power_off", lambda _: guest.calls.append("end"))
    monkeypatch.setattr(pipeline, "copy_disk", copy_disk)
    monkeypatch.setattr(pipeline, "require_free_space", lambda *_a, **_b: None)
    monkeypatch.setattr(pipeline.vendor_packages, "check_reachable", lambda _profile: None)
    monkeypatch.setattr(pipeline.registry, "check_layers", lambda _profile: None)
    return guest


def create_overlay(path: Path, *, backing: Path, size_mib: int) -> None:
    """Stand in for qemu-img create."""
    path.write_text(f"{backing.absolute()}\n")


def copy_disk(source: Path, target: Path) -> None:
    """Stand in for qemu-img convert: write the lines of the whole chain."""
    target.write_text("".join(f"{line}\n" for line in read_chain(source)))
    target.chmod(0o644)


def read_chain(disk: Path) -> list[str]:
    """Return the lines of a disk and of its backing files, oldest first."""
    first, *lines = disk.read_text().splitlines()
    return [*read_chain(Path(first)), *lines] if first.startswith("/") else [first, *lines]


def make_plan(
    workdir: Path,
    profile: Profile,
    layers: Sequence[str],
    *,
    emit: Emit = discard,
    command: str = "hardpan build",
    may_wait: bool = True,
    required_lock: BuildLock | None = None,
    **updates: Any,
) -> BuildPlan:
    """Return a plan for ``profile`` with these layers; its cache is in ``workdir``."""
    return BuildPlan(
        profile=profile.model_copy(update={"layers": tuple(layers), **updates}),
        media=InstallMedia(
            path=workdir / "x.iso", sha256=CONTENT, size_bytes=1, volume_id="X", name="rocky9"
        ),
        access=SshAccess(user="steward", private_key=workdir / "key", public_key=OPERATOR_KEY),
        choose_acceleration=lambda: Acceleration(kind="tcg", reason=""),
        output_folder=workdir / "out",
        cache_folder=workdir / "cache",
        emit=emit,
        command=command,
        may_wait=may_wait,
        required_lock=required_lock,
    )


def make_base(workdir: Path, content: str = "base") -> DiskImage:
    """Write a base install into the cache."""
    path = workdir / "cache" / "installs" / content / "base.qcow2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")
    return DiskImage(path=path, virtual_size_mib=MiB(1), sha256=sha256_file(path), duration_s=1.0)


def harden(plan: BuildPlan, base: DiskImage, guest: StandInGuest) -> hardening.HardenedImage:
    """Run ``harden_image`` with the stand-ins."""
    plan.output_folder.mkdir(exist_ok=True)
    return pipeline.harden_image(
        plan,
        base,
        content_sha256=CONTENT,
        assess=guest.assess,
        open_shell=lambda _: nullcontext(guest),  # type: ignore[arg-type,return-value]
    )
