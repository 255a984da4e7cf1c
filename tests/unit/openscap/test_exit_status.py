import pytest

from hardpan.scanners.openscap.exit_status import OscapFailure, find_failure


@pytest.mark.parametrize("status", [0, 2])
def test_evaluated_content_is_no_failure(status: int) -> None:
    assert find_failure(b"%d\n" % status, b"WARNING: something") is None


@pytest.mark.parametrize(
    ("status_file", "reason", "is_due_to_content"),
    [
        (b"1\n", "oscap failed: OpenSCAP Error: no such profile", True),
        (b"139\n", "oscap crashed with SIGSEGV: OpenSCAP Error: no such profile", True),
        (b"134\n", "oscap crashed with SIGABRT: OpenSCAP Error: no such profile", True),
        (b"137\n", "oscap was killed with SIGKILL: OpenSCAP Error: no such profile", False),
        (b"143\n", "oscap was killed with SIGTERM: OpenSCAP Error: no such profile", False),
        (b"124\n", "oscap did not end within the time limit: OpenSCAP Error: no such", False),
        (b"126\n", "oscap cannot be executed: OpenSCAP Error: no such profile", False),
        (b"127\n", "oscap was not found: OpenSCAP Error: no such profile", False),
        (b"3\n", "oscap ended with the unknown exit status 3: OpenSCAP Error", False),
        (b"255\n", "oscap ended with the unknown exit status 255: OpenSCAP Error", False),
        (None, "oscap left no exit status: it was killed", False),
        (b"", "oscap left no exit status: it was killed", False),
        (b"-1\n", "oscap left no exit status: it was killed", False),
        (b"0\n0\n", "oscap left no exit status: it was killed", False),
    ],
)
def test_exit_status_without_evaluation_has_a_reason(
    status_file: bytes | None, reason: str, is_due_to_content: bool
) -> None:
    failure = find_failure(status_file, b"\nOpenSCAP Error: no such profile\n")

    assert failure is not None
    assert failure.reason.startswith(reason)
    assert failure.is_due_to_content is is_due_to_content


@pytest.mark.parametrize(
    ("status_file", "remedy"), [(b"137", "lacks memory"), (b"124", "file systems respond")]
)
def test_failure_that_the_target_causes_names_the_remedy(status_file: bytes, remedy: str) -> None:
    failure = find_failure(status_file, b"")

    assert failure is not None
    assert failure.reason.endswith(remedy)


def test_long_and_hostile_stderr_is_cut_and_printable() -> None:
    failure = find_failure(b"1", b"x" * 1_000_000 + "\n\x1b[2J\u202eend".encode())

    assert failure == OscapFailure(
        reason=f"oscap failed: {'x' * 299}… / [2Jend", is_due_to_content=True
    )
