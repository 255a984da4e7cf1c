"""The stage that writes a finished image in further formats."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from hardpan.builder import stages
from hardpan.builder.artifacts import DiskImage, ImageFile
from hardpan.builder.vm.disk_format import (
    DISK_FORMATS,
    DiskFormat,
    convert_image,
    describe_image,
    size_problem,
)
from hardpan.core.errors import InputError
from hardpan.core.events import Emit, StageProgress
from hardpan.core.files import Sha256, require_free_space
from hardpan.core.stage_cache import StageResult
from hardpan.profiles.schema.profile import Profile


def require_possible_formats(profile: Profile, formats: Sequence[str]) -> None:
    """Pass if the profile's image can be written in all ``formats``.

    Raises:
        InputError: it cannot; names the first reason.
    """
    for name in formats:
        if problem := size_problem(DISK_FORMATS[name], profile.disk_size_mib):
            raise InputError(
                f"{profile.name}: {problem}", hint="set storage.disk_size to whole GiB"
            )


def converted_formats(formats: Sequence[str]) -> tuple[DiskFormat, ...]:
    """Return the formats that are converted from the qcow2, in a fixed order."""
    return tuple(DISK_FORMATS[name] for name in DISK_FORMATS if name in formats and name != "qcow2")


def write_formats(
    profile: Profile, image: DiskImage, formats: Sequence[str], output_folder: Path, emit: Emit
) -> tuple[ImageFile, ...]:
    """Convert the qcow2 ``image`` to the other ``formats``; return all files, the qcow2 first.

    Raises:
        ResourceError: not enough disk space.
        ToolError: a conversion failed.
    """
    first = describe_image(image.path, DISK_FORMATS["qcow2"], sha256=image.sha256)
    converted = (
        _write_format(profile, image, disk_format, output_folder, emit)
        for disk_format in converted_formats(formats)
    )
    return (first, *converted)


def _write_format(
    profile: Profile, image: DiskImage, disk_format: DiskFormat, output_folder: Path, emit: Emit
) -> ImageFile:
    stage = stages.format_stage(profile, output_folder, disk_format, image_sha256=image.sha256)
    (path,) = stage.outputs

    def report_percent(percent: int) -> None:
        emit(StageProgress(stage=stage.name, completed=percent, total=100, text="converting"))

    def execute(_note: Callable[[str], None]) -> StageResult:
        # At most as much as the qcow2 has: no format stores more than its blocks.
        required_mib = (image.path.stat().st_size >> 20) + stages.FORMAT_OVERHEAD_MIB
        require_free_space(output_folder, required_mib, purpose=f"the {disk_format.name} image")
        file = convert_image(image.path, path, disk_format, report_percent)
        return {**asdict(file), "path": path.name}

    result = stage.run(emit, execute)
    return ImageFile(
        format=disk_format.name,
        path=path,
        sha256=Sha256(str(result["sha256"])),
        media_type=disk_format.media_type,
        virtual_bytes=int(str(result["virtual_bytes"])),
        file_bytes=int(str(result["file_bytes"])),
        allocated_bytes=int(str(result["allocated_bytes"])),
    )
