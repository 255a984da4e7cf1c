"""The untouched content is evaluated if OpenSCAP evaluated something else than expected."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hardpan.core.errors import ToolError
from hardpan.core.events import Event, StageMessage
from hardpan.scanners.collect.base import CollectedEvidence, CollectTask, build_unreadable_check
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.evaluation import UNTOUCHED_ARF, evaluate_content
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.openscap.arf.results import UnreadableArf
from tests.unit.openscap.samples import make_arf, make_prepared, make_rule

CONTENT = make_prepared((make_rule("one"), make_rule("two")), ("one",), ("two",))
EXPECTED = CollectedEvidence(
    arfs=(make_arf(one="pass"), make_arf(two="fail")),
    files={"arf-0.xml": b"0", "arf-1.xml": b"1"},
    engine="oscap 1",
)
UNEXPECTED = replace(EXPECTED, arfs=(make_arf(one="pass"), make_arf()))
UNTOUCHED = CollectedEvidence(
    arfs=(make_arf(one="pass", two="pass"),), files={"arf-0.xml": b"whole"}
)

Evaluate = Callable[..., tuple[CollectedEvidence, list[PreparedContent], list[Event]]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Evaluate content on a target that answers with ``answers``, one after another."""

    def run(
        *answers: CollectedEvidence | ToolError, content: PreparedContent = CONTENT
    ) -> tuple[CollectedEvidence, list[PreparedContent], list[Event]]:
        contents: list[PreparedContent] = []
        events: list[Event] = []
        remaining = list(answers)

        def collect(_self: Collection, _name: str, task: CollectTask) -> CollectedEvidence:
            assert task.prepared is not None
            contents.append(task.prepared)
            answer = remaining.pop(0)
            if isinstance(answer, ToolError):
                raise answer
            return answer

        monkeypatch.setattr(Collection, "collect", collect)
        collection = Collection(None, events.append)  # type: ignore[arg-type]
        return evaluate_content(collection, content), contents, events

    return run


def test_expected_results_are_evaluated_once(evaluate: Evaluate) -> None:
    evidence, contents, events = evaluate(EXPECTED)

    assert evidence == EXPECTED
    assert (contents, events) == ([CONTENT], [])


def test_difference_evaluates_the_untouched_content_and_is_reported(evaluate: Evaluate) -> None:
    evidence, contents, events = evaluate(UNEXPECTED, UNTOUCHED)

    assert contents[1].parts == (CONTENT.untouched,)
    assert evidence.untouched_arf == UNTOUCHED.arfs[0]
    assert evidence.arfs == UNEXPECTED.arfs
    assert evidence.files == {"arf-0.xml": b"0", "arf-1.xml": b"1", UNTOUCHED_ARF: b"whole"}
    assert evidence.checks == ()
    assert events == [
        StageMessage(
            stage="openscap",
            text="OpenSCAP evaluated something else than expected: rule 'two': expected "
            "'selected', got 'no result'; evaluating the untouched content",
        )
    ]


def test_crash_of_a_part_evaluates_the_untouched_content(evaluate: Evaluate) -> None:
    crash = UnreadableArf(reason="oscap crashed with SIGSEGV", is_due_to_content=True)
    check = build_unreadable_check("arf-1.xml", crash.reason)

    evidence, _, _ = evaluate(
        replace(EXPECTED, arfs=(EXPECTED.arfs[0], crash), checks=(check,)), UNTOUCHED
    )

    assert (evidence.untouched_arf, evidence.checks) == (UNTOUCHED.arfs[0], ())


def test_killed_part_is_not_evaluated_again(evaluate: Evaluate) -> None:
    kill = UnreadableArf(reason="oscap was killed with SIGKILL")

    _, contents, _ = evaluate(replace(EXPECTED, arfs=(EXPECTED.arfs[0], kill)))

    assert len(contents) == 1


def test_failed_second_evaluation_keeps_the_first(evaluate: Evaluate) -> None:
    evidence, _, _ = evaluate(UNEXPECTED, ToolError(["oscap"], "did not end within 9 s"))

    assert evidence.untouched_arf == UnreadableArf(reason="oscap did not end within 9 s")
    assert evidence.arfs == UNEXPECTED.arfs
    messages = {c.name: c.message for c in evidence.checks}
    assert messages == {
        f"collect::{UNTOUCHED_ARF}": "the untouched content: oscap did not end within 9 s"
    }


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("the ARF arf-1.xml is cut short", "the ARF is cut short"),
        ("oscap left no arf-12.xml", "oscap left no ARF"),
        ("oscap crashed with SIGSEGV", "oscap crashed with SIGSEGV"),
    ],
)
def test_check_of_an_unreadable_part_names_it_once(reason: str, message: str) -> None:
    check = build_unreadable_check("arf-1.xml", reason)

    assert (check.name, check.outcome, check.message) == ("collect::arf-1.xml", "error", message)


def test_content_that_is_not_partitioned_is_evaluated_once(evaluate: Evaluate) -> None:
    unpartitioned = replace(CONTENT, parts=(CONTENT.untouched,))
    answer = CollectedEvidence(arfs=(make_arf(one="pass"),))

    evidence, contents, events = evaluate(answer, content=unpartitioned)

    assert (evidence, len(contents)) == (answer, 1)
    assert "its answer counts" in str(events[0])
