"""What decides a layer's result: the stored overlay is reused exactly while it is the same."""

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.ai_service.render import archive_members
from hardpan.builder.layers import inputs, registry
from hardpan.core.resources import resource_path
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.profile import Profile

LAB_AI = load_profile("lab-ai")
STIG, KERNEL, ML_CPU = (registry.LAYERS[x] for x in ("stig", "kernel_hardening", "ml_cpu"))


@pytest.fixture
def playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the roles that the inputs cover."""
    copy = tmp_path / ".ansible" / "ansible"
    shutil.copytree(registry.PLAYBOOKS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(registry, "PLAYBOOKS", copy)
    return copy


def changed_layers(before: dict[str, str], profile: Profile) -> list[str]:
    """Return the layers whose inputs differ from ``before``, in the profile's order."""
    return [name for name, digest in digests(profile).items() if before[name] != digest]


def digests(profile: Profile) -> dict[str, str]:
    return {
        layer.name: inputs.digest_inputs(profile, layer) for layer in registry.layers_of(profile)
    }


def change_section(profile: Profile, section: str, **values: object) -> Profile:
    """Return the profile with other values in a section, which may be missing."""
    field = Profile.model_fields[section]
    current = getattr(profile, section)
    if current is None:
        (model,) = [x for x in getattr(field.annotation, "__args__", ()) if x is not type(None)]
        current = model()
    return profile.model_copy(update={section: current.model_copy(update=values)})


def test_bytecode_and_ansible_cache_are_no_inputs(playbooks: Path) -> None:
    before = digests(LAB_AI)
    for folder, name in (("__pycache__", "remediate.cpython-311.pyc"), (".ansible", "lock")):
        ignored = playbooks / "roles" / "stig" / "files" / folder
        ignored.mkdir()
        (ignored / name).write_bytes(b"by pip, or by ansible-lint")

    assert changed_layers(before, LAB_AI) == []


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("roles/stig/files/remediate.py", ["stig"]),
        ("roles/audit/tasks/main.yml", ["audit"]),
        ("ansible.cfg", list(LAB_AI.layers)),
        ("shared/ai_host.sh", list(LAB_AI.layers)),
        ("roles/rocm/tasks/main.yml", []),
    ],
)
def test_changed_file_changes_its_layers_only(
    playbooks: Path, file: str, changed: list[str]
) -> None:
    before = digests(LAB_AI)
    with (playbooks / file).open("a") as f:
        f.write("\n")

    assert changed_layers(before, LAB_AI) == changed


@pytest.mark.parametrize(
    ("section", "values", "changed"),
    [
        ("stig", {"waivers": ()}, ["stig"]),
        ("audit", {"check_models": "hourly"}, ["audit"]),
        ("tuning", {"hugepages_2m": 7}, ["tuning"]),
        ("smoke", {"batch": 9}, []),
    ],
)
def test_changed_section_changes_its_layers_only(
    section: str, values: dict[str, Any], changed: list[str]
) -> None:
    assert changed_layers(digests(LAB_AI), change_section(LAB_AI, section, **values)) == changed


def test_order_and_selection_of_other_layers_are_no_inputs() -> None:
    reordered = LAB_AI.model_copy(update={"layers": (*reversed(LAB_AI.layers), "containers")})

    assert changed_layers(digests(LAB_AI) | {"containers": ""}, reordered) == ["containers"]


def test_changed_table_changes_the_layer_that_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(LAB_AI)
    monkeypatch.setattr("hardpan.profiles.schema.allowlists.COMPILERS", ("gcc-99",))

    assert changed_layers(before, LAB_AI) == ["kernel_hardening"]


@pytest.mark.parametrize("name", shipped_profiles())
def test_hidden_sections_do_not_matter_to_the_layer(name: str) -> None:
    """The layer gets the profile without them: what it sends to the guest must be the same."""
    profile = load_profile(name)
    layers = registry.layers_of(profile)
    visible = {layer.name: inputs.layer_profile(profile, layer) for layer in layers}

    assert [x.planned_variables(visible[x.name]) for x in layers] == [
        x.planned_variables(profile) for x in layers
    ]
    assert [x.describe(visible[x.name]) for x in layers] == [x.describe(profile) for x in layers]


def test_hidden_sections_do_not_matter_to_the_files_of_the_ai_service() -> None:
    visible = inputs.layer_profile(LAB_AI, registry.LAYERS["ai_service"])

    assert archive_members(visible) == archive_members(LAB_AI)


def test_section_is_hidden_from_other_layers() -> None:
    assert inputs.layer_profile(LAB_AI, STIG).ai_service is None
    assert inputs.layer_profile(LAB_AI, STIG).stig == LAB_AI.stig
    assert inputs.layer_profile(LAB_AI, KERNEL).stig.waivers == ()
    assert inputs.layer_profile(LAB_AI, ML_CPU).frameworks is None
    service = inputs.layer_profile(LAB_AI, registry.LAYERS["ai_service"])
    assert service.frameworks == LAB_AI.frameworks
    assert service.users == LAB_AI.users


@pytest.mark.parametrize("name", registry.LAYERS)
def test_layer_imports_no_folder_of_other_layers(name: str) -> None:
    """A folder of some layers must not be used by another: its changes would not be seen."""
    source = resource_path("hardpan.builder.layers", f"{name}.py").read_text("utf-8")
    modules = [
        node.module.split(".")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    imported = {parts[2] for parts in modules if parts[:2] == ["hardpan", "builder"] and parts[2:]}
    names = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "hardpan.builder"
        for alias in node.names
    }

    used_folders = (imported | names) & set(inputs._FOLDER_USERS)
    assert [x for x in used_folders if name not in inputs._FOLDER_USERS[x]] == []


@pytest.mark.parametrize("name", registry.LAYERS)
def test_every_layer_has_its_code_as_input(name: str) -> None:
    code = inputs.describe_inputs(LAB_AI, registry.LAYERS[name])["code"]

    assert isinstance(code, dict)
    assert f"ansible/roles/{name}/tasks/main.yml" in code
    assert f"layers/{name}.py" in code
    assert "ansible/runner.py" in code
