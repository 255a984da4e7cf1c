"""What every role would be given has the names that the role takes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from hardpan.builder.layers import ansible, rehearsal
from hardpan.builder.layers import registry as layers
from hardpan.errors import InputError, SeveralError, ToolError
from hardpan.profiles.catalog import shipped
from hardpan.profiles.load import load


def options(role: str) -> dict[str, dict[str, object]]:
    path = layers.PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml"
    found = yaml.safe_load(path.read_text("utf-8"))["argument_specs"]["main"]["options"]
    assert isinstance(found, dict)
    return found


def test_every_layer_that_is_built_can_be_rehearsed() -> None:
    assert set(rehearsal.VALUES) == set(layers.BUILT)


@pytest.mark.parametrize("name", shipped())
def test_every_required_value_is_given_and_no_unknown_one(name: str) -> None:
    profile = load(name)

    given = rehearsal.given(profile)

    assert list(given) == list(profile.layers)
    for role, values in given.items():
        asked = options(role)
        assert set(values) <= set(asked), role
        assert {x for x, facts in asked.items() if facts.get("required")} <= set(values), role


def test_what_the_roles_have_against_their_values_is_told_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rehearsal, "check_syntax", lambda *_: None)
    monkeypatch.setattr(rehearsal, "refused_values", lambda *_: ("stig: one", "ml_cpu: two"))

    with pytest.raises(SeveralError) as caught:
        rehearsal.rehearse(load("lab-stig"))

    assert [str(e) for e in caught.value.errors] == [
        "lab-stig: layer stig: one",
        "lab-stig: layer ml_cpu: two",
    ]
    assert isinstance(caught.value.errors[0], InputError)


def test_a_playbook_that_ends_otherwise_is_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_runner.run", lambda **_: SimpleNamespace(status="failed"))

    with pytest.raises(ToolError, match="could not hold values"):
        ansible.refused_values({"stig": {}}, tmp_path)
