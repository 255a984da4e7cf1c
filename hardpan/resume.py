"""Finished stages that need not run again: each keyed by the digest of its inputs.

A stage's record is one JSON file. It is written only when the stage has ended
well, and it counts only while every output still has its recorded digest.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.events import Emit, Ended, stage
from hardpan.files import (
    PRIVATE,
    Sha256,
    canonical_json,
    sha256_bytes,
    sha256_file,
    write_atomic,
)

Receipt = dict[str, object]
"""What a stage hands on, as plain JSON values."""


def key(inputs: Mapping[str, object]) -> Sha256:
    """The digest that a set of inputs is known by."""
    return sha256_bytes(canonical_json(dict(inputs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of a run: what goes in, what comes out, and where its record lies."""

    name: str
    folder: Path
    """Where the record lies."""

    inputs: Mapping[str, object]
    """All that decides the result."""

    outputs: tuple[Path, ...] = ()
    private: bool = False
    """The outputs hold secrets: mode 0600, also where an earlier run left them with another."""

    def once(self, emit: Emit, work: Callable[[Callable[[str], None]], Receipt]) -> Receipt:
        """The stage's receipt: an earlier run's where nothing changed, else a new one.

        ``work`` gets a function that notes a line of progress, and must leave
        every file of ``outputs`` in place.
        """
        earlier = self.kept()
        if earlier is not None and self._restrict():
            emit(Ended(stage=self.name, took_s=0.0, reused=True))
            return earlier
        self._record.unlink(missing_ok=True)
        with stage(emit, self.name) as note:
            receipt = work(note)
        self._restrict()
        kept = {
            "inputs": key(self.inputs),
            "outputs": {str(p): sha256_file(p) for p in self.outputs},
            "receipt": receipt,
        }
        write_atomic(self._record, json.dumps(kept, indent=1, sort_keys=True) + "\n", mode=0o600)
        return receipt

    def kept(self, *, digests: bool = True) -> Receipt | None:
        """An earlier run's receipt, if it still counts; None where the stage has to run.

        Without ``digests`` the outputs only have to be there: quick, and not what a run goes by.
        """
        try:
            kept = json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("inputs") != key(self.inputs):
            return None
        recorded = kept.get("outputs")
        receipt = kept.get("receipt")
        if not isinstance(recorded, dict) or not isinstance(receipt, dict):
            return None
        if set(recorded) != {str(p) for p in self.outputs}:
            return None
        if any(not p.is_file() for p in self.outputs):
            return None
        if digests and any(sha256_file(p) != recorded[str(p)] for p in self.outputs):
            return None
        return receipt

    def _restrict(self) -> bool:
        """Take access from group and others; False where an output is another user's."""
        try:
            for path in self.outputs if self.private else ():
                path.chmod(PRIVATE)
        except PermissionError:
            return False
        return True

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.stage.json"
