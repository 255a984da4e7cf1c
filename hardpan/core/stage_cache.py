"""Stages whose results are stored, each under the digest of its inputs.

The record of a stage is one JSON file with the inputs, the result and the outputs. It is written
only after the stage has succeeded, and it counts only while every output is as recorded.
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hardpan.core.events import Emit, StageFinished, run_stage
from hardpan.core.files import (
    PRIVATE_MODE,
    Sha256,
    atomic_path,
    canonical_json,
    sha256_bytes,
    sha256_file,
    sync_to_disk,
    write_atomic,
)
from hardpan.core.stored_outputs import OutputState, compare_output, describe_output

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

        ``execute`` must create every file of ``outputs``. If there is one, ``sha256`` in the result
        is its digest.
        """
        cached_result = self.reuse(emit)
        if cached_result is not None:
            return cached_result
        inputs, record_path = self._require_inputs()
        record_path.unlink(missing_ok=True)
        with run_stage(emit, self.name) as report_progress:
            result = execute(report_progress)
        self._restrict_access()
        self._write_record(record_path, inputs, result)
        return result

    def reuse(self, emit: Emit) -> StageResult | None:
        """Return the stored result if it is still valid, and report that it is reused."""
        cached_result = self.load()
        if cached_result is None or not self._restrict_access():
            return None
        inputs, record_path = self._require_inputs()
        if not self._has_recorded_attributes():
            self._write_record(record_path, inputs, cached_result)
        if self.is_shared:
            # When the result was last used, for the removal of old results.
            os.utime(record_path)
        emit(StageFinished(stage=self.name, duration_s=0.0, reused=True))
        return cached_result

    def store(self, result: StageResult, files: Mapping[str, Path]) -> None:
        """Store ``result`` with ``files`` (output name -> file, moved) as the stage's result.

        Only for ``is_shared``: the folder of the result appears complete or not at all.
        """
        folder = self.record_folder
        if not self.is_shared or folder is None or self.inputs is None:
            raise ValueError(f"stage {self.name}: has no folder of its own")
        with atomic_path(folder) as temp:
            temp.mkdir(mode=0o700)
            for name, file in files.items():
                file.chmod(PRIVATE_MODE)
                sync_to_disk(file)
                file.replace(temp / name)
            self._write_record(temp / f"{self.name}.stage.json", self.inputs, result, temp)

    def load(self, *, check_digests: bool = True) -> StageResult | None:
        """Return the stored result if it is still valid; None if the stage has to run.

        Without ``check_digests`` no output is read: fast enough for a dry run, and not enough to
        reuse an output whose attributes have changed.
        """
        record = self.read_matching_record()
        if record is None:
            return None
        states = self.compare_outputs(record, may_read=check_digests)
        if set(states.values()) & {OutputState.CHANGED, OutputState.MISSING}:
            return None
        result = record.get("result")
        return result if isinstance(result, dict) else None

    def read_matching_record(self) -> dict[str, object] | None:
        """Return the record of these inputs; None without one."""
        if self.inputs is None:
            return None
        record = read_record(self._require_inputs()[1])
        if record is None or record.get("key") != cache_key(self.inputs):
            return None
        outputs = record.get("outputs")
        is_complete = isinstance(outputs, dict) and set(outputs) == set(self.output_names)
        return record if is_complete else None

    def compare_outputs(
        self, record: Mapping[str, object], *, may_read: bool
    ) -> dict[str, OutputState]:
        """Return the state of each output: its name -> state."""
        records = record["outputs"]
        assert isinstance(records, dict)  # noqa: S101 - as ``read_matching_record`` checks
        return {
            path.name: compare_output(path, records.get(path.name), may_read=may_read)
            for path in self.outputs
        }

    def record_paths(self) -> list[Path]:
        """Return the records of this stage that are stored, of whatever inputs."""
        name = f"{self.name}.stage.json"
        pattern = f"*/{name}" if self.is_shared else name
        return sorted(path for path in self.folder.glob(pattern) if path.is_file())

    def _require_inputs(self) -> tuple[Mapping[str, object], Path]:
        folder = self.record_folder
        if self.inputs is None or folder is None:
            raise ValueError(f"stage {self.name}: cannot run: an input is unknown")
        return self.inputs, folder / f"{self.name}.stage.json"

    def _has_recorded_attributes(self) -> bool:
        """False if an output was moved or touched, and only its digest is as recorded."""
        record = self.read_matching_record()
        if record is None:
            return False
        states = self.compare_outputs(record, may_read=False).values()
        return all(state is OutputState.UNCHANGED for state in states)

    def _write_record(
        self,
        record_path: Path,
        inputs: Mapping[str, object],
        result: StageResult,
        folder: Path | None = None,
    ) -> None:
        """Write the record; ``folder`` is where the outputs are, if not in their final place."""
        paths = [(folder or path.parent) / path.name for path in self.outputs]
        digest = str(result.get("sha256", "")) if len(paths) == 1 else ""
        outputs = {p.name: describe_output(p, Sha256(digest) if digest else None) for p in paths}
        record = {
            "key": cache_key(inputs),
            "inputs": inputs,
            "outputs": outputs,
            "result": result,
        }
        write_atomic(record_path, json.dumps(record, indent=1, sort_keys=True) + "\n", mode=0o600)

    def _restrict_access(self) -> bool:
        """Remove the access of group and others; False if another user owns an output."""
        if not self.is_private:
            return True
        try:
            for path in self.outputs:
                status = path.stat()
                is_private = stat.S_IMODE(status.st_mode) == PRIVATE_MODE
                # Setting the mode changes the attributes that the record has.
                if not is_private or status.st_uid != os.geteuid():
                    path.chmod(PRIVATE_MODE)
        except PermissionError:
            return False
        return True


def read_record(path: Path) -> dict[str, object] | None:
    """Return the record of a stage; None if there is none, or it is damaged."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
