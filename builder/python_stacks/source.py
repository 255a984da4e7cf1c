"""Build a wheel of a package that is published only as source.

pip's build isolation would install the newest build tools of the index. Locked build tools are
installed into a fresh environment instead, and pip builds without isolation: the same source gives
the same wheel, whatever has been released since.
"""

import re
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.pip import run_pip
from hardpan.builder.python_stacks.model import SOURCE_DATE_EPOCH, LockedStack
from hardpan.builder.wheel_audit.archive import open_archive
from hardpan.builder.wheel_audit.lock import LockEntry, LockFile, format_requirements
from hardpan.builder.wheel_audit.model import AuditLimits
from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import Sha256, atomic_path, canonical_json, sha256_bytes
from hardpan.core.process import run
from hardpan.profiles.schema.frameworks import FromSource
from hardpan.profiles.schema.versions import parse_version

STAGE = "harden"
_TIMEOUT_S = 5400
_TOOLS_TIMEOUT_S = 600
_VERSION_TIMEOUT_S = 30
MAX_LIBRARY_BYTES = 1 << 30
"""Size of one library in a built wheel."""

_HASH_MISMATCH_MARKER = "DO NOT MATCH THE HASHES"
_GLIBC = re.compile(rb"GLIBC_(2\.\d{1,2})\0")
_LIBSTDCXX = re.compile(rb"GLIBCXX_3\.4\.(\d{1,2})\0")
_MAX_GLIBCXX = {"rocky9": 29, "rocky10": 33, "lab9": 33, "lab10": 33}
"""Release -> the newest GLIBCXX_3.4.N of its libstdc++: GCC 11 has 29, GCC 14 has 33."""


def build_wheel(
    locked_stack: LockedStack,
    source: FromSource,
    entry: LockEntry,
    source_folder: Path | None,
    cache: Path,
    emit: Emit,
) -> tuple[Path, Sha256]:
    """Return the wheel and the digest of its source.

    Raises:
        InputError: the wheel would not run on the release.
        ToolError: the source cannot be downloaded or built.
        TrustError: the source is not the locked one.
    """
    if len(entry.sha256s) != 1:
        raise InputError(
            f"{entry.name}: expected one digest in the lock, that of the source,"
            f" got {len(entry.sha256s)}: the package has wheels, so it need not be built"
        )
    (digest,) = entry.sha256s
    tools = locked_stack.build_tools[source.name]
    folder = cache / "sources" / f"{entry.name}-{_cache_key(source, digest, tools)}"
    if not folder.is_dir():
        emit(StageMessage(stage=STAGE, text=f"{entry.name} {entry.version}: building from source"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            _run_build(source, entry, tools, source_folder, temp)
            _single_wheel(temp, entry)
    wheel = _single_wheel(folder, entry)
    require_compatible(wheel, locked_stack)
    return wheel, Sha256(digest)


def require_compatible(wheel: Path, locked_stack: LockedStack) -> None:
    """Require that the release's C and C++ libraries are new enough for a built wheel.

    Raises:
        InputError: they are too old.
    """
    glibc: tuple[int, ...] = (2, 0)
    cxx = 0
    with wheel.open("rb") as file:
        archive, problems = open_archive(file, AuditLimits())
        if archive is None:
            raise InputError(f"{wheel.name}: cannot be read: {problems[0]}")
        for member in archive.members:
            if ".so" not in member.filename:
                continue
            if member.file_size > MAX_LIBRARY_BYTES:
                raise InputError(
                    f"{wheel.name}: {member.filename!a}: expected at most {MAX_LIBRARY_BYTES}"
                    f" bytes, got {member.file_size}"
                )
            data = archive.read(member)
            glibc = max([glibc, *(parse_version(v.decode()) for v in _GLIBC.findall(data))])
            cxx = max([cxx, *(int(v) for v in _LIBSTDCXX.findall(data))])
    newest = _MAX_GLIBCXX[locked_stack.release]
    if glibc > parse_version(locked_stack.glibc) or cxx > newest:
        raise InputError(
            f"{wheel.name}: expected glibc {locked_stack.glibc} and GLIBCXX_3.4.{newest} or older,"
            f" which {locked_stack.release} has, got {glibc[0]}.{glibc[1]} and GLIBCXX_3.4.{cxx}",
            hint="build on the release itself or on an older system",
        )


def _cache_key(source: FromSource, digest: str, tools: LockFile) -> str:
    inputs = {"source": digest, "cmake": list(source.cmake), "compiler": _compiler_version()}
    inputs["tools"] = tools.sha256
    return sha256_bytes(canonical_json(inputs))[:16]


def _compiler_version() -> str:
    result = run(
        ["g++", "--version"],
        timeout_s=_VERSION_TIMEOUT_S,
        hint="a source needs g++, cmake and ninja",
    )
    return result.stdout.splitlines()[0]


def _run_build(
    source: FromSource,
    entry: LockEntry,
    tools: LockFile,
    source_folder: Path | None,
    target_folder: Path,
) -> None:
    pip_source_arguments: list[str | Path] = (
        ["--no-index", "--find-links", source_folder.absolute()] if source_folder else []
    )
    with tempfile.TemporaryDirectory(prefix="hardpan-source-") as name:
        workdir = Path(name)
        python = _create_environment(tools, pip_source_arguments, source, workdir)
        requirements_file = workdir / "requirements.txt"
        requirements_file.write_text(format_requirements([entry]), "utf-8")
        argv: list[str | Path] = ["--python", python, "wheel", "-q", "--no-deps"]
        argv += [
            "--no-build-isolation",
            "--use-pep517",
            "--require-hashes",
            "-r",
            requirements_file,
        ]
        argv += ["--no-binary", entry.name, "-w", target_folder, *pip_source_arguments]
        env = {
            "CMAKE_ARGS": " ".join(f"-D{flag}" for flag in source.cmake),
            "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
        }
        try:
            run_pip(argv, timeout_s=_TIMEOUT_S, env=env)
        except ToolError as e:
            if _HASH_MISMATCH_MARKER in e.output_tail:
                raise TrustError(f"{entry.name}: the source is not the locked one") from e
            hint = f"it needs g++, cmake, ninja and what builds it in the lock {source.build_lock}"
            raise ToolError(
                e.argv, f"could not build {entry.name}", output_tail=e.output_tail, hint=hint
            ) from e


def _create_environment(
    tools: LockFile, pip_source_arguments: Sequence[str | Path], source: FromSource, workdir: Path
) -> Path:
    """Create an environment with only the locked build tools; return its Python."""
    venv.create(workdir / "tools", symlinks=True)
    python = workdir / "tools/bin/python"
    requirements_file = workdir / "tools.txt"
    requirements_file.write_text(format_requirements(tools.entries), "utf-8")
    argv: list[str | Path] = ["--python", python, "install", "-q", "--no-deps"]
    argv += [
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        requirements_file,
        *pip_source_arguments,
    ]
    try:
        run_pip(argv, timeout_s=_TOOLS_TIMEOUT_S)
    except ToolError as e:
        if _HASH_MISMATCH_MARKER in e.output_tail:
            raise TrustError(f"{source.name}: a build tool is not the locked one") from e
        hint = f"the wheelhouse must also contain the files of the lock {source.build_lock}, too"
        reason = f"could not get the build tools of {source.name}"
        raise ToolError(e.argv, reason, output_tail=e.output_tail, hint=hint) from e
    return python


def _single_wheel(folder: Path, entry: LockEntry) -> Path:
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ToolError(["pip"], f"left {len(wheels)} wheels of {entry.name}, expected one")
    return wheels[0]
