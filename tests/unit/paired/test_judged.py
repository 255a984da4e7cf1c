import json
from typing import Any

import pytest

from hardpan.errors import ToolError
from hardpan.profiles.load import load
from hardpan.scanners.collect.paired import judged, program, wanted
from hardpan.scanners.paired.conflicts import conflicts
from hardpan.scanners.paired.verdict import weighed
from hardpan.scanners.trials import Held, Pair, PairVerdict

HELD = ["holds", "as it should be"]


def answer(halves: Any = None, **changes: Any) -> bytes:
    good = {"confinement": "of hardpan-llm.service", "halves": {} if halves is None else halves}
    return json.dumps({**good, **changes}).encode()


def one(data: bytes, conflict: str) -> Pair:
    return next(p for p in judged(data, conflicts()).pairs if p.conflict == conflict)


@pytest.mark.parametrize(
    ("control", "action", "verdict"),
    [
        ("holds", "holds", "pass"),
        ("holds", "broken", "fail"),
        ("broken", "holds", "fail"),
        ("broken", "not_asked", "fail"),
        ("error", "broken", "fail"),
        ("holds", "not_asked", "not_checked"),
        ("not_asked", "holds", "not_checked"),
        ("not_asked", "not_asked", "not_checked"),
        ("holds", "error", "error"),
        ("error", "not_asked", "error"),
        ("not_applicable", "not_applicable", "not_applicable"),
        ("holds", "not_applicable", "not_applicable"),
        ("not_applicable", "broken", "not_applicable"),
        ("broken", "not_applicable", "fail"),
        ("odd", "holds", "error"),
        ("", "", "error"),
    ],
)
def test_only_two_halves_that_hold_are_a_pass(control: str, action: str, verdict: str) -> None:
    assert weighed(control, action) == verdict


def test_every_conflict_has_a_verdict_whatever_the_target_leaves_out() -> None:
    made = judged(answer(), conflicts())

    assert [p.conflict for p in made.pairs] == [c.id for c in conflicts()]
    assert {p.verdict for p in made.pairs} == {PairVerdict.NOT_CHECKED}
    assert made.pairs[0].control.found == "the target gave no answer"
    assert made.counts()["pass"] == 0


def test_both_halves_keep_what_was_looked_at_expected_and_found() -> None:
    got = one(answer({"tmp-noexec": {"control": HELD, "action": HELD}}), "tmp-noexec")

    assert got.verdict is PairVerdict.PASS
    assert got.reason == "the control holds and the AI action works"
    assert got.control.looked_at.startswith("mount options")
    assert got.action.expected == "it loads and its function answers"
    assert got.action.found == "as it should be"


def test_the_reason_names_the_half_that_failed() -> None:
    halves = {"control": HELD, "action": ["broken", "denied"]}
    got = one(answer({"fapolicyd": halves}), "fapolicyd")

    assert (got.verdict, got.reason) == (PairVerdict.FAIL, "AI action: denied")


def test_a_host_cannot_say_that_a_conflict_every_host_has_does_not_apply() -> None:
    none = ["not_applicable", "not for us"]
    got = one(answer({"tmp-noexec": {"control": none, "action": none}}), "tmp-noexec")

    assert got.verdict is PairVerdict.ERROR
    assert got.control.found == "every host has this conflict, this one says not: not for us"


def test_a_conflict_that_needs_hardware_may_not_apply() -> None:
    none = ["not_applicable", "no GPU on the PCI bus"]
    got = one(answer({"iommu": {"control": none, "action": none}}), "iommu")

    assert got.verdict is PairVerdict.NOT_APPLICABLE
    assert "no GPU on the PCI bus" in got.reason


def test_what_a_target_says_is_cut_and_shown_harmless() -> None:
    wild = ["broken", "\x1b[2J\x00\u202e" + "x" * 5000]
    got = one(answer({"egress": {"control": wild, "action": HELD}}), "egress")

    assert got.control.found.isprintable()
    assert len(got.control.found) == 1000
    assert got.control.outcome is Held.BROKEN


PAIR = {"control": HELD, "action": HELD}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"null", "expected an object with confinement"),
        (answer(more=1), "expected an object with confinement"),
        (answer([]), "expected an object of halves"),
        (answer(confinement=3), "expected text"),
        (answer({"no-such": PAIR}), "a conflict that nobody asked about: 'no-such'"),
        (answer({"\x1b[2J": PAIR}), r"nobody asked about: '\x1b[2J'"),
        (answer({"egress": None, "x" * 90: PAIR}), "nobody asked about"),
        (answer({"egress": []}), "expected an object with control, action"),
        (answer({"egress": {"control": HELD}}), "expected an object with control, action"),
        (answer({"egress": {**PAIR, "verdict": "pass"}}), "expected an object with control"),
        (answer({"egress": {**PAIR, "action": "holds"}}), "expected an outcome and what was"),
        (answer({"egress": {**PAIR, "action": ["holds"]}}), "expected an outcome and what was"),
        (answer({"egress": {**PAIR, "action": ["pass", ""]}}), "'pass' is not a valid Held"),
        (answer({"egress": {**PAIR, "action": [1, ""]}}), "1 is not a valid Held"),
        (answer({"egress": {**PAIR, "action": [[], ""]}}), "is not a valid Held"),
        (answer({"egress": {**PAIR, "action": ["holds", None]}}), "expected text"),
        (b'{"confinement":NaN,"halves":{}}', "NaN is no figure"),
    ],
)
def test_an_answer_that_is_not_the_agreed_one_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ToolError) as caught:
        judged(data, conflicts())

    assert "the paired checks gave an answer that cannot be read" in str(caught.value)
    assert said in str(caught.value)


def test_the_program_asks_for_every_conflict_of_the_list_and_no_other() -> None:
    from hardpan.scanners.collect.workload.paired import main

    asked = main.table(None)  # type: ignore[arg-type]

    assert set(asked) == {c.id for c in conflicts()}


def test_the_program_is_whole_and_systemd_expands_nothing_in_it() -> None:
    sent = json.loads(program())

    assert sent["run"] == "main"
    assert "$" not in sent["sent"]["boot"]
    for name, source in sent["sources"].items():
        compile(source, name, "exec")


@pytest.mark.parametrize(
    ("layers", "asked", "runs"),
    [
        (("ml_cpu", "stig"), False, False),
        (("ml_cpu", "stig"), True, True),
        (("ml_frameworks", "stig"), False, True),
        (("sovereign_stack",), False, True),
        ((), False, False),
    ],
)
def test_they_run_for_a_profile_that_brings_an_ai_stack_or_when_asked(
    layers: tuple[str, ...], asked: bool, runs: bool
) -> None:
    profile = load("lab-stig").model_copy(update={"layers": layers})

    assert wanted(profile, asked=asked) is runs
