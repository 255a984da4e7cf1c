"""The registry of layers: each layer is one object in one file and one role.

A new layer ``x`` needs:

1. its name in ``LayerName`` (``profiles/schema/profile.py``), which profiles are validated with;
2. one ``Layer`` object ``X`` in ``builder/layers/x.py``, and its line in ``registry.py``;
3. one role ``builder/ansible/roles/x/`` with ``tasks/main.yml`` and ``meta/argument_specs.yml``.

If it has settings: a section model in ``profiles/schema/``, named by ``Layer.section``, and its
constraints in ``profiles/constraints/``. If the installer must install distribution packages for
it: an entry in ``OS_PACKAGES`` (``profiles/schema/layer_packages.py``). If a scan checks it: a
field of ``ExpectedState`` and a check in ``scanners/collect/checks/``. These three are not in the
``Layer`` object, because profiles and scanners must not import the builder.
"""

from importlib import import_module
from typing import get_args

import pytest
import yaml

from hardpan.builder.layers import registry
from hardpan.builder.layers.base import Layer
from hardpan.core.resources import resource_path
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.layer_packages import OS_PACKAGES
from hardpan.profiles.schema.profile import LayerName, Profile

SHARED_MODULES = {
    "__init__",
    "base",
    "inputs",
    "kernel_modules",
    "registry",
    "role_validation",
    "signing_keys",
    "vendor_packages",
}
LAB = load_profile("lab-ai")


def test_registry_has_every_layer_name_of_the_profile() -> None:
    assert set(registry.LAYERS) == set(get_args(LayerName))
    assert len(registry.LAYERS) >= 12


def test_each_module_defines_a_registered_layer() -> None:
    folder = resource_path("hardpan.builder.layers")
    names = {path.stem for path in folder.glob("*.py")} - SHARED_MODULES

    assert names == set(registry.LAYERS)


@pytest.mark.parametrize("layer", registry.LAYERS.values(), ids=registry.LAYERS)
def test_layer_object_is_complete(layer: Layer) -> None:
    module = import_module(f"hardpan.builder.layers.{layer.name}")
    role = registry.PLAYBOOKS / "roles" / layer.name
    specification = yaml.safe_load((role / "meta/argument_specs.yml").read_text("utf-8"))
    options = specification["argument_specs"]["main"]["options"]
    variables = layer.planned_variables(LAB)

    assert getattr(module, layer.name.upper()) is layer
    assert layer.describe(LAB).startswith(layer.summary)
    assert (role / "tasks/main.yml").is_file()
    assert set(variables) <= set(options)
    if layer.name in LAB.layers:
        required = {name for name, option in options.items() if option.get("required")}
        assert required <= set(variables)


def test_layer_section_is_a_profile_section() -> None:
    sections = {name: layer.section for name, layer in registry.LAYERS.items()}

    assert {name for name, section in sections.items() if section is None} == {"ml_cpu"}
    assert {s for s in sections.values() if s} <= set(Profile.model_fields)
    same_name = {name for name in sections if name in Profile.model_fields}
    assert all(sections[name] == name for name in same_name)


def test_os_packages_belong_to_layers() -> None:
    assert set(OS_PACKAGES) <= set(registry.LAYERS)
    assert registry.LAYERS["ai_service"].os_packages == ("nftables", "nginx")
    assert registry.LAYERS["stig"].os_packages == ()


def test_digest_covers_every_package_of_the_layers() -> None:
    folders = {path.name for path in registry.source_folders()}

    builder_packages = {"ansible", "layers", "remediation", "ai_models", "ai_service"}
    assert folders == builder_packages | {"embedding_model"}
