"""Stages whose results are stored, each under the digest of its inputs.

The record of a stage is one JSON file. It is written only after the stage has succeeded, and it
counts only while every output still has its recorded digest.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hardpan.core.events import Emit, StageFinished, run_stage
from hardpan.core.files import (
    PRIVATE_MODE,
    Sha256,
    canonical_json,
    sha256_bytes,
    sha256_file,
    write_atomic,
)

StageResult = dict[str, object]
"""What a stage hands on, as plain JSON values."""

Execute = Callable[[Callable[[str], None]], StageResult]
"""Does the work of a stage; its argument reports a line of progress."""

_KEY_FOLDER_CHARS = 24


def cache_key(inputs: Mapping[str, object]) -> Sha256:
    """Return the digest of a set of inputs."""
    return sha256_bytes(canonical_json(dict(inputs)))


def digest_code(*modules: str) -> Sha256:
    """Return the digest of modules and of all modules in packages, for the inputs of a stage.

    The version of hardpan does not change with every change in a checkout.

    Raises:
        ModuleNotFoundError: one is not part of hardpan.
    """
    lines = []
    for module in modules:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        path = Path(spec.origin)
        is_package = spec.submodule_search_locations is not None
        files = sorted(path.parent.rglob("*.py")) if is_package else [path]
        lines += [f"{module} {f.relative_to(path.parent)} {sha256_file(f)}\n" for f in files]
    return sha256_bytes("".join(lines).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedStage:
    """One stage of a run: what it does, what decides its result, and what it writes.

    A build runs this object and a dry run asks it, so that both use the same key.
    """

    name: str
    folder: Path
    """Folder of the record. With ``is_shared``: the folder that holds one folder per key."""

    inputs: Mapping[str, object] | None
    """Everything that decides the result; None while one of them is unknown."""

    output_names: tuple[str, ...] = ()
    """Files that it writes, in ``record_folder``."""

    description: str = ""
    """What it does, for a dry run."""

    is_shared: bool = False
    """True where the result is stored by its key, so that runs into other folders reuse it."""

    is_private: bool = False
    """The outputs hold secrets: mode 0600, also where an earlier run left another mode."""

    required_mib: int = 0
    """Free disk space in MiB that the stage needs before it starts."""

    required_in: Path | None = None
    """Folder on whose file system that space has to be."""

    @property
    def record_folder(self) -> Path | None:
        """Folder of the record and the outputs; None while it depends on an unknown input."""
        if not self.is_shared:
            return self.folder
        if self.inputs is None:
            return None
        return self.folder / cache_key(self.inputs)[:_KEY_FOLDER_CHARS]

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that it writes; the shared folder while their own is unknown."""
        folder = self.record_folder
        if folder is None:
            return (self.folder,) if self.output_names else ()
        return tuple(folder / name for name in self.output_names)

    def run(self, emit: Emit, execute: Execute) -> StageResult:
        """Return the stage's result: the stored one if nothing changed, else a new one.

        ``execute`` must create every file of ``outputs``.
        """
        cached_result = self.load()
        if cached_result is not None and self._restrict_access():
            emit(StageFinished(stage=self.name, duration_s=0.0, reused=True))
            return cached_result
        inputs, record_path = self._require_inputs()
        record_path.unlink(missing_ok=True)
        with run_stage(emit, self.name) as report_progress:
            result = execute(report_progress)
        self._restrict_access()
        record = {
            "inputs": cache_key(inputs),
            "outputs": {str(path): sha256_file(path) for path in self.outputs},
            "result": result,
        }
        write_atomic(record_path, json.dumps(record, indent=1, sort_keys=True) + "\n", mode=0o600)
        return result

    def load(self, *, check_digests: bool = True) -> StageResult | None:
        """Return the stored result if it is still valid; None if the stage has to run.

        Without ``check_digests`` the outputs only have to exist: fast enough for a dry run, and
        not enough to reuse them.
        """
        if self.inputs is None:
            return None
        record = self._read_record()
        if record is None or record.get("inputs") != cache_key(self.inputs):
            return None
        recorded_digests = record.get("outputs")
        result = record.get("result")
        if not isinstance(recorded_digests, dict) or not isinstance(result, dict):
            return None
        if set(recorded_digests) != {str(path) for path in self.outputs}:
            return None
        if any(not path.is_file() for path in self.outputs):
            return None
        if check_digests and any(
            sha256_file(path) != recorded_digests[str(path)] for path in self.outputs
        ):
            return None
        return result

    def has_any_record(self) -> bool:
        """True if a result of this stage is stored, of whatever inputs."""
        name = f"{self.name}.stage.json"
        if self.is_shared:
            return any(path.is_file() for path in self.folder.glob(f"*/{name}"))
        return (self.folder / name).is_file()

    def _require_inputs(self) -> tuple[Mapping[str, object], Path]:
        folder = self.record_folder
        if self.inputs is None or folder is None:
            raise ValueError(f"stage {self.name}: cannot run: an input is unknown")
        return self.inputs, folder / f"{self.name}.stage.json"

    def _read_record(self) -> dict[str, object] | None:
        _, record_path = self._require_inputs()
        try:
            record = json.loads(record_path.read_bytes())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def _restrict_access(self) -> bool:
        """Remove the access of group and others; False if another user owns an output."""
        if not self.is_private:
            return True
        try:
            for path in self.outputs:
                path.chmod(PRIVATE_MODE)
        except PermissionError:
            return False
        return True
