"""Every role's planned variables match its ``argument_specs``."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from hardpan.builder.ansible import runner
from hardpan.builder.layers import registry as layers
from hardpan.builder.layers import role_validation
from hardpan.core.errors import AggregateError, InputError, ToolError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles


def argument_options(role: str) -> dict[str, dict[str, object]]:
    path = layers.PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml"
    specification = yaml.safe_load(path.read_text("utf-8"))["argument_specs"]["main"]["options"]
    assert isinstance(specification, dict)
    return specification


@pytest.mark.parametrize("name", shipped_profiles())
def test_role_variables_match_argument_specs(name: str) -> None:
    profile = load_profile(name)

    variables_by_role = role_validation.planned_variables(profile)

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
    monkeypatch.setattr(role_validation, "check_syntax", lambda *_: None)
    monkeypatch.setattr(role_validation, "argument_errors", lambda *_: ("stig: one", "ml_cpu: two"))

    with pytest.raises(AggregateError) as caught:
        role_validation.validate_roles(load_profile("lab-stig"))

    assert [str(e) for e in caught.value.errors] == [
        "lab-stig: layer stig: one",
        "lab-stig: layer ml_cpu: two",
    ]
    assert isinstance(caught.value.errors[0], InputError)


def test_failed_validation_playbook_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_runner.run", lambda **_: SimpleNamespace(status="failed"))

    with pytest.raises(ToolError, match="could not validate role variables"):
        runner.argument_errors({"stig": {}}, tmp_path)
