"""Interrupt a build in every stage, and check what is left; then complete it.

python -m tests.integration.interrupt_driver FOLDER    prints what was seen, as JSON

Python starts once: each attempt is a fork, which sends itself a signal at one point. The stages,
their records, the locks, qemu-img, the keys and the processes are real. Stand-ins replace
what needs minutes: xorriso, the installer, the guest, and what is done in it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hardpan.builder import hardening, pipeline
from hardpan.builder.artifacts import Assessment, InstallMedia, LayerResult, SshAccess
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import Acceleration
from hardpan.core import files, interrupts
from hardpan.core.events import Event, StageFinished, StageStarted
from hardpan.core.files import Sha256, atomic_path, sha256_file
from hardpan.core.process import run, spawn
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.workflow import build_and_attest
from hardpan.workflow.request import BuildRequest

WORKER_SLEEP_S = f"3600.{os.getpid():07}"
"""Argument of ``sleep`` in the stand-ins of this run, by which a process that was left is found."""

DIGEST = Sha256("0" * 64)
SIZE_MIB = 4
STAGES = ("iso", "install", "assess", "layer-ml_cpu", "layer-stig", "sysprep", "image", "raw")
POINTS = (
    *((stage, point) for stage in STAGES for point in ("start", "work", "end")),
    *(("provenance", point) for point in ("start", "end")),
)
WITHOUT_WORK = {("image", "work"), ("raw", "work")}
"""qemu-img itself does the work of these."""

POINTS_BY_SIGNAL = {
    signal.SIGINT: POINTS,
    # The same as SIGINT but for the exit code.
    signal.SIGTERM: tuple(x for x in POINTS if x[1] == "work"),
    signal.SIGKILL: POINTS,
}


@dataclass
class Attempt:
    """One build, which sends itself ``signal_number`` at ``point``; None to complete it."""

    folder: Path
    point: tuple[str, str] | None
    signal_number: signal.Signals = signal.SIGINT

    shell = SimpleNamespace(run=lambda *_, **__: None)
    """Stand-in for the root shell on the guest."""

    def emit(self, event: Event) -> None:
        """Send the signal at the start or the end of the stage."""
        if isinstance(event, StageStarted):
            self.reach(event.stage, "start")
        elif isinstance(event, StageFinished) and not event.reused:
            self.reach(event.stage, "end")

    def reach(self, stage: str, point: str) -> None:
        """Record the point; send the signal if it is the point of this attempt."""
        with (self.folder / "points").open("a") as file:
            file.write(f"{stage} {point}\n")
        if self.point == (stage, point):
            os.kill(os.getpid(), self.signal_number)

    @contextmanager
    def work(self, stage: str) -> Iterator[None]:
        """Run a process for the length of the block, and reach the middle of the stage."""
        with spawn(["sleep", WORKER_SLEEP_S], log=self.folder / "worker.log"):
            self.reach(stage, "work")
            yield

    def build(self) -> None:
        """Run the stages with the stand-ins of this attempt."""
        stand_ins: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
            (build_and_attest, "prepare_build", self.prepare_build),
            (build_and_attest.datastream, "find", lambda *_: SimpleNamespace(sha256=DIGEST)),
            (build_and_attest, "_assess", self.assess),
            (build_and_attest, "_open_shell", lambda _guest: nullcontext(self.shell)),
            (pipeline, "render_linted_kickstart", lambda *_, **__: "text\n"),
            (pipeline, "remaster", self.remaster),
            (pipeline, "overlay_with_serial_console", nullcontext_path),
            (pipeline.install, "install", self.install),
            (hardening, "boot_machine", self.boot_machine),
            (hardening.registry, "apply_layer", self.apply_layer),
            (hardening.guest_clock, "require_matching_clock", lambda _shell: None),
            (hardening, "_read_package_headers", lambda _shell: {"bash": DIGEST}),
            (hardening.sysprep, "settle", lambda _shell: None),
            (hardening.sysprep, "generalize", self.generalize),
            (hardening.sysprep, "power_off", lambda _shell: None),
            (hardening, "require_free_space", lambda *_, **__: None),
            (pipeline, "require_free_space", lambda *_, **__: None),
        )
        for module, name, stand_in in stand_ins:
            mock.patch.object(module, name, stand_in).start()
        build_and_attest.build_image(self.request(), self.emit)

    def request(self) -> BuildRequest:
        """Return a request for the lab's profile, in the folders of this attempt."""
        profile = load_profile("lab-stig")
        storage = profile.storage.model_copy(update={"disk_size_mib": SIZE_MIB})
        return BuildRequest(
            profile=profile.model_copy(update={"storage": storage}),
            output_folder=self.folder / "out",
            cache_folder=self.folder / "cache",
            data_folder=self.folder / "data",
            image_formats=("qcow2", "raw"),
        )

    def prepare_build(self, request: BuildRequest, emit: Callable[[Event], None]) -> BuildPlan:
        """Stand in for the media, the operator's key and the probe of KVM."""
        request.output_folder.mkdir(exist_ok=True)
        return BuildPlan(
            profile=request.profile,
            media=InstallMedia(
                path=self.folder / "media.iso",
                sha256=DIGEST,
                size_bytes=1,
                volume_id="X",
                name="lab9",
            ),
            access=SshAccess(user="steward", private_key=self.folder / "id", public_key=""),
            choose_acceleration=lambda: Acceleration(kind="tcg", reason=""),
            output_folder=request.output_folder,
            cache_folder=request.cache_folder,
            emit=emit,
        )

    def remaster(self, _media: object, _text: str, path: Path, **_: object) -> SimpleNamespace:
        """Stand in for xorriso."""
        with atomic_path(path) as temp:
            temp.write_text("half")
            with self.work("iso"):
                temp.write_text("complete")
        return SimpleNamespace(sha256=sha256_file(path))

    def install(self, spec: Any, **_: object) -> SimpleNamespace:
        """Stand in for the installer."""
        with atomic_path(spec.disk) as temp:
            create_disk(temp, size_mib=SIZE_MIB)
            with self.work("install"):
                _append(temp, 0)
        return SimpleNamespace(sha256=sha256_file(spec.disk), duration_s=1.0)

    @contextmanager
    def boot_machine(self, spec: Any, *_: object, **__: object) -> Iterator[tuple[object, object]]:
        """Stand in for the guest: its disk is the overlay that it was switched to last."""
        self.disk = spec.disk
        with spawn(["sleep", WORKER_SLEEP_S], log=self.folder / "worker.log"):
            yield None, SimpleNamespace(switch_disk=lambda path: setattr(self, "disk", path))

    def assess(self, *_: object) -> Assessment:
        """Stand in for the scan of the base install."""
        with self.work("assess"):
            return Assessment(content_sha256=DIGEST, counts={"fail": 1}, fixes=())

    def apply_layer(self, layer: Any, *_: object, **__: object) -> LayerResult:
        """Stand in for Ansible."""
        with self.work(f"layer-{layer.name}"):
            _append(self.disk, 1 + ("ml_cpu", "stig").index(layer.name))
        return LayerResult(layer=layer.name, changed_tasks=1, duration_s=1.0)

    def generalize(self, *_: object) -> tuple[str, ...]:
        """Stand in for sysprep."""
        with self.work("sysprep"):
            _append(self.disk, 3)
        return ("bash-0:5.2-1.x86_64",)


@contextmanager
def nullcontext_path(path: Path, _folder: Path) -> Iterator[Path]:
    """Stand in for the overlay of the ISO."""
    yield path


def _append(disk: Path, position: int) -> None:
    """Write 64 KiB of the disk, as an installer or a layer does."""
    command = f"write -P {0x61 + position} {64 * position}k 64k"
    run(["qemu-io", "-f", "qcow2", "-c", command, disk], timeout_s=60)


def main(folder: Path) -> None:
    """Run the reference build and one pass of attempts for each signal; print what was seen."""
    files._MIN_STALE_AGE_S = 0.0
    reference = run_pass(folder / "reference", (), signal.SIGINT)
    report = {
        number.name: run_pass(folder / number.name, points, number)
        for number, points in POINTS_BY_SIGNAL.items()
    }
    print(json.dumps({"reference": reference, **report}))  # noqa: T201


def run_pass(
    folder: Path, points: tuple[tuple[str, str], ...], number: signal.Signals
) -> dict[str, Any]:
    """Interrupt one build at all points, one after another, and complete it."""
    folder.mkdir(parents=True)
    attempts = [
        run_attempt(Attempt(folder, point, number)) for point in points if point not in WITHOUT_WORK
    ]
    last = run_attempt(Attempt(folder, None))
    with (folder / "out" / "lab-stig.raw").open("rb") as file:
        content = file.read(5 * 65536)[::65536].decode("ascii", "replace")
    return {"attempts": attempts, "last": last, "content": content}


def run_attempt(attempt: Attempt) -> dict[str, Any]:
    """Run one attempt in a process of its own; return how it ended and what it left."""
    points = attempt.folder / "points"
    points.write_text("")
    child = os.fork()
    if child == 0:
        _run_child(attempt)
    _, status = os.waitpid(child, 0)
    folders = (attempt.folder / "out", attempt.folder / "cache")
    hidden = [p.name for f in folders for p in f.rglob(".*") if p.name != ".hardpan.lock"]
    return {
        "point": attempt.point,
        "status": os.waitstatus_to_exitcode(status),
        "points": points.read_text().splitlines(),
        "processes": count_workers(),
        "hidden": hidden,
        "files": sorted(
            p.name
            for f in folders
            for p in f.rglob("*")
            if p.is_file() and not any(part.startswith(".") for part in p.parts[-3:])
        ),
    }


def _run_child(attempt: Attempt) -> None:
    interrupts.install()
    try:
        attempt.build()
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException as e:  # noqa: BLE001 - the report has it
        os.write(2, f"{attempt.point}: {e!r}\n".encode())
        os._exit(1)
    os._exit(0)


def count_workers() -> int:
    """Return how many processes of the stand-ins are left, after a moment to end."""
    deadline_s = time.monotonic() + 10
    while True:
        workers = 0
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                workers += WORKER_SLEEP_S.encode() in path.read_bytes()
            except OSError:
                continue
        if not workers or time.monotonic() > deadline_s:
            return workers
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
