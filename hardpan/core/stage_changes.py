"""Why a stage has to run: how its inputs and outputs differ from what is stored."""

from collections.abc import Iterator, Mapping

from hardpan.core.stage_cache import CachedStage, read_record
from hardpan.core.stored_outputs import OutputState

NO_RESULT = "no stored result"
_OUTPUT_PROBLEMS = {
    OutputState.MISSING: "is missing",
    OutputState.CHANGED: "was changed after it was stored",
}
_ABSENT = object()


def list_changes(stage: CachedStage) -> tuple[str, ...]:
    """Return why the stage has to run; empty if its stored result is valid.

    The inputs are compared with those of the stored result that differs in the fewest of them. An
    output whose attributes have changed is not read.
    """
    if stage.inputs is None:
        return ()
    record = stage.read_matching_record()
    if record is not None:
        states = stage.compare_outputs(record, may_read=False)
        return tuple(
            f"{name} {_OUTPUT_PROBLEMS[state]}"
            for name, state in states.items()
            if state in _OUTPUT_PROBLEMS
        )
    differences = [
        tuple(_compare(inputs, stage.inputs)) for inputs in reversed(_stored_inputs(stage))
    ]
    differences = [changes for changes in differences if changes]
    return min(differences, key=len, default=(NO_RESULT,))


def _stored_inputs(stage: CachedStage) -> list[Mapping[str, object]]:
    """Return the inputs of all stored results, from the oldest to the newest."""
    paths = sorted(stage.record_paths(), key=lambda path: path.stat().st_mtime_ns)
    records = (read_record(path) for path in paths)
    inputs = (record.get("inputs") for record in records if record)
    return [stored for stored in inputs if isinstance(stored, Mapping)]


def _compare(
    old: Mapping[str, object], new: Mapping[str, object], prefix: str = ""
) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _compare(before, after, f"{prefix}{name}: ")
        elif before is _ABSENT:
            yield f"{prefix}{name} added"
        elif after is _ABSENT:
            yield f"{prefix}{name} removed"
        elif before != after:
            yield f"{prefix}{name} changed"
