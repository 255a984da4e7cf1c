"""Apply a profile's layers to its base install, each on an overlay that later builds reuse.

All layers run in one guest: after each, QEMU switches to the next overlay, and the one before is
stored. If only the last layer has changed, the guest boots from the overlay before it.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hardpan.builder import guest_clock, resource_needs, stages, sysprep
from hardpan.builder.artifacts import Assessment, BootedGuest, DiskImage, LayerResult
from hardpan.builder.build_plan import AssessGuest, BuildPlan, OpenShell
from hardpan.builder.hardened_image import HardenedImage, read_assessment, read_layer_result
from hardpan.builder.layers import registry, vendor_packages
from hardpan.builder.layers.base import STAGE, Layer
from hardpan.builder.layers.inputs import layer_profile
from hardpan.builder.vm.boot import boot_machine
from hardpan.builder.vm.disk_image import check_disk, create_overlay
from hardpan.builder.vm.qemu import VirtualMachine
from hardpan.core import clock
from hardpan.core.events import StageMessage, run_stage
from hardpan.core.files import Sha256, require_free_space, sha256_file, temporary_folder
from hardpan.core.stage_cache import CachedStage, StageResult

_WORK_FOLDER = "work"
_HEADERS_QUERY = "rpm -qa --qf '%{NEVRA} %{SHA256HEADER}\\n'"
_QUERY_TIMEOUT_S = 240.0
_SETTING_TIMEOUT_S = 120.0

# QEMU 7.2 translates a program's code for each address that it is loaded at: a start took 43 ms of
# processor time with random addresses, and takes 16 ms without. Only this guest runs without them,
# after the assessment; the image has its own setting.
_FIXED_ADDRESSES = "echo 0 > /proc/sys/kernel/randomize_va_space"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disk:
    """A stored disk and how it was built."""

    path: Path
    sha256: Sha256
    layer_results: tuple[StageResult, ...] = ()

    def after(self, stage: CachedStage, result: StageResult) -> "_Disk":
        """Return the disk that ``stage`` has stored."""
        return _Disk(
            path=stage.outputs[0],
            sha256=Sha256(str(result["sha256"])),
            layer_results=(*self.layer_results, result),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guest:
    """The running guest: how to log in to it, its QEMU, and a shell that is open all the time."""

    access: BootedGuest
    machine: VirtualMachine
    shell: sysprep.RootShell


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """The layers of one build."""

    plan: BuildPlan
    base: DiskImage
    content_sha256: Sha256
    assess: AssessGuest
    open_shell: OpenShell
    start_s: float = field(default_factory=clock.monotonic_s)

    def build_disk(self) -> HardenedImage:
        """Return the generalized disk, an overlay in the cache folder.

        What is stored is reused. Without the assessment of the base nothing is.
        """
        emit = self.plan.emit
        disk = _Disk(path=self.base.path, sha256=self.base.sha256)
        pending = registry.layers_of(self.plan.profile)
        assessed = self._assess_stage().reuse(emit)
        while assessed is not None and pending:
            stage = self._layer_stage(pending[0], disk.sha256)
            result = stage.reuse(emit)
            if result is None:
                break
            disk, pending = disk.after(stage, result), pending[1:]
        if assessed is not None and not pending:
            stage = self._sysprep_stage(disk.sha256)
            result = stage.reuse(emit)
            if result is not None:
                return self._describe(assessed, disk, stage, result)
        return self._run_guest(disk, pending)

    def _run_guest(self, disk: _Disk, pending: tuple[Layer, ...]) -> HardenedImage:
        """Apply the ``pending`` layers to ``disk`` and generalize it, in one guest."""
        work_parent = self.plan.cache_folder / stages.LAYERS_FOLDER
        work_parent.mkdir(parents=True, exist_ok=True)
        self._require_space(pending)
        with temporary_folder(work_parent / _WORK_FOLDER) as workdir:
            overlays = [workdir / f"{number}.qcow2" for number in range(len(pending) + 1)]
            create_overlay(overlays[0], backing=disk.path, size_mib=self.base.virtual_size_mib)
            with self._boot(overlays[0]) as guest:
                guest_clock.require_matching_clock(guest.shell)
                assessed = self._assess_base(guest.access)
                if self.plan.acceleration.kind == "tcg":
                    guest.shell.run(_FIXED_ADDRESSES, timeout_s=_SETTING_TIMEOUT_S, sudo=True)
                for number, layer in enumerate(pending):
                    paths = overlays[number], overlays[number + 1]
                    disk = self._apply_layer(layer, guest, assessed, disk, paths)
                with run_stage(self.plan.emit, "sysprep"):
                    headers = _read_package_headers(guest.shell)
                    packages = sysprep.generalize(guest.shell, self.plan.removed_key)
                    sysprep.power_off(guest.shell)
            check_disk(overlays[-1])
            stage = self._sysprep_stage(disk.sha256)
            result: StageResult = {
                "sha256": sha256_file(overlays[-1]),
                "packages": list(packages),
                "headers": headers,
                "finished": clock.format_rfc3339(clock.now()),
            }
            stage.store(result, {stages.OVERLAY_NAME: overlays[-1]})
        return self._describe(assessed, disk, stage, result)

    @contextmanager
    def _boot(self, overlay: Path) -> Iterator[_Guest]:
        plan = self.plan
        spec = replace(
            plan.vm_spec(overlay),
            allowed_endpoints=vendor_packages.allowed_endpoints(plan.profile),
            cdrom=plan.media.path if vendor_packages.uses_media(plan.profile) else None,
        )
        log = plan.output_folder / "harden.log"
        machine = boot_machine(
            spec, plan.access, plan.acceleration, log=log, emit=plan.emit, overlay=False
        )
        # Without KVM a login takes seconds, and the first and the last of a user many.
        with machine as (access, qemu), self.open_shell(access) as shell:
            yield _Guest(access=access, machine=qemu, shell=shell)

    def _apply_layer(
        self,
        layer: Layer,
        guest: _Guest,
        assessed: StageResult,
        disk: _Disk,
        overlays: tuple[Path, Path],
    ) -> _Disk:
        """Apply a layer, switch the guest from the first overlay to the second, store the first."""
        overlay, next_overlay = overlays
        plan, stage = self.plan, self._layer_stage(layer, disk.sha256)
        with run_stage(plan.emit, stage.name):
            started = clock.format_rfc3339(clock.now())
            layer_result = registry.apply_layer(
                layer,
                layer_profile(plan.profile, layer),
                guest.access,
                self._assessment_for(layer, assessed),
                cache=plan.cache_folder,
                emit=plan.emit,
            )
            sysprep.settle(guest.shell)
            create_overlay(
                next_overlay, backing=stage.outputs[0], size_mib=self.base.virtual_size_mib
            )
            guest.machine.switch_disk(next_overlay)
            result: StageResult = {
                "sha256": sha256_file(overlay),
                "started": started,
                "layer": _layer_to_json(layer_result),
            }
            stage.store(result, {stages.OVERLAY_NAME: overlay})
        return disk.after(stage, result)

    def _assess_base(self, guest: BootedGuest) -> StageResult:
        def execute(_note: object) -> StageResult:
            assessment = self.assess(guest)
            return {
                "counts": assessment.counts,
                "fixes": [dataclasses.asdict(fix) for fix in assessment.fixes],
            }

        result = self._assess_stage().run(self.plan.emit, execute)
        fixes = read_assessment(result, self.content_sha256).fixes
        text = f"{len(fixes)} rules fail before hardening"
        self.plan.emit(StageMessage(stage=STAGE, text=text))
        return result

    def _assessment_for(self, layer: Layer, assessed: StageResult) -> Assessment:
        """Return the assessment; empty for a layer whose key does not have it."""
        if not layer.uses_assessment:
            return Assessment(content_sha256=self.content_sha256, counts={}, fixes=())
        return read_assessment(assessed, self.content_sha256)

    def _require_space(self, pending: tuple[Layer, ...]) -> None:
        profile, overlay_mib = self.plan.profile, resource_needs.OVERLAY_MIB
        layers_mib = [resource_needs.layer_required_mib(profile, layer.name) for layer in pending]
        require_free_space(self.plan.cache_folder, sum(layers_mib) + overlay_mib, purpose="layers")

    def _assess_stage(self) -> CachedStage:
        return stages.assess_stage(
            self.plan.profile,
            self.plan.cache_folder,
            base_sha256=self.base.sha256,
            content_sha256=self.content_sha256,
        )

    def _layer_stage(self, layer: Layer, disk_sha256: Sha256) -> CachedStage:
        return stages.layer_stage(
            self.plan.profile,
            self.plan.cache_folder,
            layer,
            disk_sha256=disk_sha256,
            content_sha256=self.content_sha256,
        )

    def _sysprep_stage(self, disk_sha256: Sha256) -> CachedStage:
        return stages.sysprep_stage(
            self.plan.profile,
            self.plan.cache_folder,
            disk_sha256=disk_sha256,
            public_key=self.plan.access.public_key,
        )

    def _describe(
        self, assessed: StageResult, disk: _Disk, stage: CachedStage, result: StageResult
    ) -> HardenedImage:
        """Return the generalized disk as the results of the stages describe it."""
        packages, headers = result["packages"], result["headers"]
        assert isinstance(packages, list)  # noqa: S101 - written by ``_run_guest``
        assert isinstance(headers, dict)  # noqa: S101
        finished = str(result["finished"])
        return HardenedImage(
            disk=DiskImage(
                path=stage.outputs[0],
                virtual_size_mib=self.base.virtual_size_mib,
                sha256=Sha256(str(result["sha256"])),
                duration_s=clock.monotonic_s() - self.start_s,
            ),
            layers=tuple(read_layer_result(stored["layer"]) for stored in disk.layer_results),
            baseline_counts=read_assessment(assessed, self.content_sha256).counts,
            packages=tuple(map(str, packages)),
            package_headers={str(nevra): str(digest) for nevra, digest in headers.items()},
            started=str(disk.layer_results[0]["started"]) if disk.layer_results else finished,
            finished=finished,
        )


def _layer_to_json(result: LayerResult) -> dict[str, object]:
    return dataclasses.asdict(result) | {"duration_s": f"{result.duration_s:.1f}"}


def _read_package_headers(shell: sysprep.RootShell) -> dict[str, str]:
    """Return NEVRA -> digest of the header of each installed package."""
    output = shell.run(_HEADERS_QUERY, timeout_s=_QUERY_TIMEOUT_S, sudo=True).stdout
    rows = (line.split() for line in output.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2}
