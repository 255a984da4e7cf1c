"""What every role would be given has the names that the role takes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from hardpan.builder.layers import ansible, rehearsal
from hardpan.builder.layers import registry as layers
from hardpan.errors import AggregateError, InputError, ToolError
from hardpan.profiles.catalog import shipped_profiles
from hardpan.profiles.load import load_profile


def argument_options(role: str) -> dict[str, dict[str, object]]:
    path = layers.PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml"
    specification = yaml.safe_load(path.read_text("utf-8"))["argument_specs"]["main"]["options"]
    assert isinstance(specification, dict)
    return specification


def test_each_layer_has_role_variables() -> None:
    assert set(rehearsal.ROLE_VARIABLES) == set(layers.LAYERS)


@pytest.mark.parametrize("name", shipped_profiles())
def test_role_variables_match_argument_specs(name: str) -> None:
    profile = load_profile(name)

    variables_by_role = rehearsal.role_variables(profile)

    assert list(variables_by_role) == list(profile.layers)
    for role, values in variables_by_role.items():
        specification = argument_options(role)
        assert set(values) <= set(specification), role
        assert {x for x, option in specification.items() if option.get("required")} <= set(
            values
        ), role


def test_argument_errors_are_reported_for_each_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rehearsal, "check_syntax", lambda *_: None)
    monkeypatch.setattr(rehearsal, "argument_errors", lambda *_: ("stig: one", "ml_cpu: two"))

    with pytest.raises(AggregateError) as caught:
        rehearsal.validate_roles(load_profile("lab-stig"))

    assert [str(e) for e in caught.value.errors] == [
        "lab-stig: layer stig: one",
        "lab-stig: layer ml_cpu: two",
    ]
    assert isinstance(caught.value.errors[0], InputError)


def test_failed_validation_playbook_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_runner.run", lambda **_: SimpleNamespace(status="failed"))

    with pytest.raises(ToolError, match="could not hold values"):
        ansible.argument_errors({"stig": {}}, tmp_path)
