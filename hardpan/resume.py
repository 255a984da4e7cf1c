"""Finished stages that need not run again: each keyed by the digest of its inputs.

A stage's record is one JSON file. It is written only when the stage has ended
well, and it counts only while every output still has its recorded digest.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.events import Emit, Ended, stage
from hardpan.files import Sha256, canonical_json, sha256_bytes, sha256_file, write_atomic

Receipt = dict[str, object]
"""What a stage hands on, as plain JSON values."""


def key(inputs: Mapping[str, object]) -> Sha256:
    """The digest that a set of inputs is known by."""
    return sha256_bytes(canonical_json(dict(inputs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The records of one folder of stages."""

    folder: Path
    """Where the records lie."""

    emit: Emit

    def once(
        self,
        name: str,
        inputs: Mapping[str, object],
        work: Callable[[Callable[[str], None]], Receipt],
        *,
        outputs: Sequence[Path] = (),
    ) -> Receipt:
        """The receipt of stage ``name``: an earlier run's where nothing changed, else a new one.

        ``work`` gets a function that notes a line of progress, and must leave
        every file of ``outputs`` in place.
        """
        wanted = key(inputs)
        record = self.folder / f"{name}.stage.json"
        earlier = self._earlier(record, wanted, outputs)
        if earlier is not None:
            self.emit(Ended(stage=name, took_s=0.0, reused=True))
            return earlier
        record.unlink(missing_ok=True)
        with stage(self.emit, name) as note:
            receipt = work(note)
        kept = {
            "inputs": wanted,
            "outputs": {str(p): sha256_file(p) for p in outputs},
            "receipt": receipt,
        }
        write_atomic(record, json.dumps(kept, indent=1, sort_keys=True) + "\n", mode=0o600)
        return receipt

    def _earlier(self, record: Path, wanted: str, outputs: Sequence[Path]) -> Receipt | None:
        try:
            kept = json.loads(record.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("inputs") != wanted:
            return None
        recorded = kept.get("outputs")
        receipt = kept.get("receipt")
        if not isinstance(recorded, dict) or not isinstance(receipt, dict):
            return None
        if set(recorded) != {str(p) for p in outputs}:
            return None
        if any(not p.is_file() or sha256_file(p) != recorded[str(p)] for p in outputs):
            return None
        return receipt
