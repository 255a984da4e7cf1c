import io
import json
import tarfile

import pytest

from builder.fixes import NEVER, batch, read_outcomes
from builder.receipts import Remedy
from hardpan.errors import ToolError

P = "xccdf_org.ssgproject.content_rule_"


def remedy(name: str, script: str = "true\n") -> Remedy:
    return Remedy(rule_id=P + name, severity="medium", script=script)


def inside(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m))}


def test_exceptions_and_rules_without_a_fix_are_settled_and_not_sent() -> None:
    made = batch(
        [remedy("a"), remedy("b"), remedy("partition_for_tmp", " \n"), remedy(next(iter(NEVER)))],
        {P + "b": "because"},
        "steward",
    )

    assert made.sent == (P + "a",)
    assert [(o.rule_id.removeprefix(P), o.outcome) for o in made.settled] == [
        ("b", "excepted"),
        ("partition_for_tmp", "no_fix"),
        (next(iter(NEVER)), "no_fix"),
    ]
    assert made.settled[0].detail == "because"


def test_what_shuts_doors_runs_last_and_the_rest_keeps_the_benchmarks_order() -> None:
    names = ["sudo_x", "z", "usbguard_y", "a"]

    made = batch([remedy(n) for n in names], {}, "steward")

    assert [r.removeprefix(P) for r in made.sent] == ["z", "a", "sudo_x", "usbguard_y"]


def test_the_archive_holds_the_runner_the_manifest_and_each_script_in_order() -> None:
    made = batch([remedy("a", "echo 1"), remedy("b", "echo 2")], {}, "steward")

    files = inside(made.archive)
    assert json.loads(files["manifest.json"])["rules"] == [P + "a", P + "b"]
    assert files["fixes/000.sh"] == b"echo 1"
    assert files["fixes/001.sh"] == b"echo 2"
    assert b"def main()" in files["mend.py"]


def test_the_same_remedies_give_the_same_bytes() -> None:
    assert batch([remedy("a")], {}, "u").archive == batch([remedy("a")], {}, "u").archive


def test_outcomes_tell_applied_and_error() -> None:
    sent = batch([remedy("a"), remedy("b")], {}, "u")
    told = [{"rule": P + "a", "rc": 0, "said": "ok"}, {"rule": P + "b", "rc": 3, "said": "x" * 999}]

    got = read_outcomes(json.dumps(told).encode(), sent)

    assert [o.outcome for o in got] == ["applied", "error"]
    assert len(got[1].detail) == 600


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'[{"rule": "x"}]', b"{}", b"null"])
def test_outcomes_that_cannot_be_read_are_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match=r"no outcomes that can be read|told nothing"):
        read_outcomes(data, batch([remedy("a")], {}, "u"))


def test_a_rule_that_nothing_was_told_about_is_an_error() -> None:
    with pytest.raises(ToolError, match="told nothing about 1 rules"):
        read_outcomes(b"[]", batch([remedy("a")], {}, "u"))
