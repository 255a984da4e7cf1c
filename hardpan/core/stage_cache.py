"""Finished stages that need not run again: each keyed by the digest of its inputs.

A stage's record is one JSON file. It is written only when the stage has ended
well, and it counts only while every output still has its recorded digest.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def cache_key(inputs: Mapping[str, object]) -> Sha256:
    """The digest that a set of inputs is known by."""
    return sha256_bytes(canonical_json(dict(inputs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedStage:
    """One stage of a run: what goes in, what comes out, and where its record lies."""

    name: str
    folder: Path
    """Where the record lies."""

    inputs: Mapping[str, object]
    """All that decides the result."""

    outputs: tuple[Path, ...] = ()
    is_private: bool = False
    """The outputs hold secrets: mode 0600, also where an earlier run left them with another."""

    def run(
        self, emit: Emit, execute: Callable[[Callable[[str], None]], StageResult]
    ) -> StageResult:
        """The stage's receipt: an earlier run's where nothing changed, else a new one.

        ``work`` gets a function that notes a line of progress, and must leave
        every file of ``outputs`` in place.
        """
        cached_result = self.load()
        if cached_result is not None and self._restrict_access():
            emit(StageFinished(stage=self.name, duration_s=0.0, reused=True))
            return cached_result
        self._record_path.unlink(missing_ok=True)
        with run_stage(emit, self.name) as report_progress:
            result = execute(report_progress)
        self._restrict_access()
        record = {
            "inputs": cache_key(self.inputs),
            "outputs": {str(p): sha256_file(p) for p in self.outputs},
            "receipt": result,
        }
        write_atomic(
            self._record_path, json.dumps(record, indent=1, sort_keys=True) + "\n", mode=0o600
        )
        return result

    def load(self, *, check_digests: bool = True) -> StageResult | None:
        """An earlier run's receipt, if it still counts; None where the stage has to run.

        Without ``digests`` the outputs only have to be there: quick, and not what a run goes by.
        """
        try:
            record = json.loads(self._record_path.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("inputs") != cache_key(self.inputs):
            return None
        recorded_digests = record.get("outputs")
        result = record.get("receipt")
        if not isinstance(recorded_digests, dict) or not isinstance(result, dict):
            return None
        if set(recorded_digests) != {str(p) for p in self.outputs}:
            return None
        if any(not p.is_file() for p in self.outputs):
            return None
        if check_digests and any(sha256_file(p) != recorded_digests[str(p)] for p in self.outputs):
            return None
        return result

    def _restrict_access(self) -> bool:
        """Take access from group and others; False where an output is another user's."""
        try:
            for path in self.outputs if self.is_private else ():
                path.chmod(PRIVATE_MODE)
        except PermissionError:
            return False
        return True

    @property
    def _record_path(self) -> Path:
        return self.folder / f"{self.name}.stage.json"
