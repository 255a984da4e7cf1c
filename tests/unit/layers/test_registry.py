"""The registry of layers: each layer is one object in one file and one role."""

from importlib import import_module
from typing import get_args

import pytest
import yaml

from hardpan.builder.layers import registry
from hardpan.builder.layers.base import Layer
from hardpan.core.resources import resource_path
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import LayerName

SHARED_MODULES = {
    "__init__",
    "base",
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


def test_digest_covers_every_package_of_the_layers() -> None:
    folders = {path.name for path in registry.source_folders()}

    builder_packages = {"ansible", "layers", "remediation", "ai_models", "ai_service"}
    assert folders == builder_packages | {"embedding_model"}
