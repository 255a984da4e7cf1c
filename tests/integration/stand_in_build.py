"""Run ``hardpan build`` with stand-ins for the installer, the guest and what is done in it.

python -m tests.integration.stand_in_build ARGUMENTS...    as ``hardpan ARGUMENTS...``

Everything else is real: checks, media, ISO, keys, stages, records, qemu-img, attestation. A
second, unmodified ``hardpan`` with the same arguments finds every stage's result.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hardpan import cli
from hardpan.builder import hardening, pipeline
from hardpan.builder.artifacts import Assessment, BootedGuest, LayerResult
from hardpan.builder.vm.disk_image import create_disk
from hardpan.core.files import Sha256, sha256_file
from hardpan.preflight import checks
from hardpan.scanners.content.datastream import ContentSource
from hardpan.workflow import build_and_attest

HEADERS = {"bash-0:5.2-1.x86_64": "e" * 64}


def _install(spec: Any, *, size_mib: int, **_: object) -> SimpleNamespace:
    create_disk(spec.disk, size_mib=size_mib)
    return SimpleNamespace(sha256=sha256_file(spec.disk), duration_s=1.0)


@contextmanager
def _boot_machine(*_: object, **__: object) -> Iterator[tuple[object, object]]:
    yield None, SimpleNamespace(switch_disk=lambda _path: None)


def _assess(
    _guest: BootedGuest, _profile: object, source: ContentSource, _emit: object
) -> Assessment:
    return Assessment(content_sha256=Sha256(source.sha256), counts={"fail": 1}, fixes=())


def _apply_layer(layer: Any, *_: object, **__: object) -> LayerResult:
    return LayerResult(layer=layer.name, changed_tasks=1, duration_s=1.0)


_SHELL = SimpleNamespace(run=lambda *_, **__: None)
_STAND_INS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (build_and_attest, "_assess", _assess),
    (build_and_attest, "_open_shell", lambda _guest: nullcontext(_SHELL)),
    (checks, "check_roles", lambda *_: None),
    (checks, "require_free_space", lambda *_, **__: None),
    (pipeline.install, "install", _install),
    (pipeline, "require_free_space", lambda *_, **__: None),
    (hardening, "boot_machine", _boot_machine),
    (hardening.registry, "apply_layer", _apply_layer),
    (hardening.guest_clock, "require_matching_clock", lambda _shell: None),
    (hardening, "_read_package_headers", lambda _shell: HEADERS),
    (hardening.sysprep, "settle", lambda _shell: None),
    (hardening.sysprep, "generalize", lambda *_: tuple(HEADERS)),
    (hardening.sysprep, "power_off", lambda _shell: None),
    (hardening, "require_free_space", lambda *_, **__: None),
)


def main() -> None:
    """Run the command line."""
    for module, name, stand_in in _STAND_INS:
        mock.patch.object(module, name, stand_in).start()
    sys.exit(cli.run())


def build_arguments(profile: str, iso: Path, folder: Path, formats: str) -> tuple[str, ...]:
    """Return the arguments of a build of ``profile`` from ``iso`` into ``folder``."""
    options = ("--media", str(iso), "-o", str(folder / "out"), "--cache", str(folder / "cache"))
    return ("build", profile, *options, "--format", formats)


if __name__ == "__main__":
    main()
