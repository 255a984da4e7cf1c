"""Everything that decides what a layer does to a disk, for the key of its stored result.

A layer gets the profile without the settings of other layers, so that it cannot depend on a
setting that its key does not have: a change of the last layer's section leaves the others as they
are.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePath

from hardpan.builder import python_stacks
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import Layer
from hardpan.builder.layers.registry import LAYERS, source_folders
from hardpan.core.files import Sha256, canonical_json, sha256_bytes, sha256_file
from hardpan.core.stage_cache import digest_code
from hardpan.profiles.schema.profile import Profile, StigSettings
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS

_IGNORED_FOLDERS = {".ansible", "__pycache__"}
_SHARED_SECTIONS = {"hardware"}
MODEL_LAYERS = frozenset({"ai_service", "ml_cpu", "ml_frameworks"})
"""Layers that install files of an AI model, or use them."""

_MODULE_LAYERS = ("nvidia_driver", "amd_driver")
_MODULE_CODE = ("hardpan.builder.rpm", "hardpan.signing.kernel_module")
_VENDOR_ROLES = ("vendor_packages", "kernel_modules")
_FOLDER_USERS = {
    "ai_models": MODEL_LAYERS,
    "ai_service": frozenset({"ai_service"}),
    "embedding_model": MODEL_LAYERS,
    "remediation": frozenset({"stig"}),
}
"""Source folder -> the layers that use it; other folders are used by all layers."""

_FILE_USERS = {
    "layers/inputs.py": frozenset[str](),
    "layers/kernel_modules.py": frozenset(_MODULE_LAYERS),
    "layers/role_validation.py": frozenset[str](),
    "layers/signing_keys.py": frozenset(CATALOG_LAYERS),
    "layers/vendor_packages.py": frozenset(CATALOG_LAYERS),
}


def layer_profile(profile: Profile, layer: Layer) -> Profile:
    """Return the profile as ``layer`` sees it: other layers' sections have their defaults."""
    sections = {x.section for x in LAYERS.values() if x.section} - _SHARED_SECTIONS
    hidden = {"title", "description", "smoke", "build_key", *sections}
    hidden -= {layer.section, *layer.reads, "stig"}
    values: dict[str, object] = {name: _default_of(name) for name in hidden}
    values["layers"] = (layer.name,)
    if layer.section != "stig":
        values["stig"] = StigSettings(content=profile.stig.content)
    return profile.model_copy(update=values)


def describe_inputs(profile: Profile, layer: Layer) -> dict[str, object]:
    """Return what decides the layer's result, except for the disk and the assessment.

    Raises:
        InputError: the lock of a Python stack is missing or malformed.
    """
    visible = layer_profile(profile, layer)
    variables = json.dumps(layer.planned_variables(visible), sort_keys=True, default=str)
    inputs: dict[str, object] = {
        "layer": layer.name,
        "profile": {
            name: sha256_bytes(canonical_json(value))
            for name, value in visible.model_dump(mode="json").items()
        },
        "variables": sha256_bytes(variables.encode()),
        "code": {str(name): sha256_file(path) for name, path in sorted(_source_files(layer))},
    }
    if layer.name in _MODULE_LAYERS:
        keys = {r.id: b"" for r in vendor_packages.repositories_for(visible, layer.name)}
        request = vendor_packages.modules_request(visible, layer.name, keys)
        inputs["modules"] = {
            "request": sha256_bytes(canonical_json(request)),
            "code": digest_code(*_MODULE_CODE),
        }
    if layer.name == "ml_frameworks":
        inputs["stacks"] = python_stacks.digest_inputs(visible)
    return inputs


def digest_inputs(profile: Profile, layer: Layer) -> Sha256:
    """Return the digest of ``describe_inputs``."""
    return sha256_bytes(canonical_json(describe_inputs(profile, layer)))


def _default_of(section: str) -> object:
    field = Profile.model_fields[section]
    return "" if field.is_required() else field.get_default(call_default_factory=True)


def _source_files(layer: Layer) -> Iterator[tuple[PurePath, Path]]:
    """Yield name and path of each file, with equal names in a checkout and an installed wheel."""
    for folder in source_folders():
        for path in folder.rglob("*"):
            name = path.relative_to(folder.parent)
            # pip also compiles the Python files that are sent to the guest.
            if _IGNORED_FOLDERS & set(name.parts) or not path.is_file():
                continue
            users = _users_of(name)
            if users is None or layer.name in users:
                yield name, path


def _users_of(name: PurePath) -> frozenset[str] | None:
    """Return the layers that use a source file; None for all."""
    folder = name.parts[0]
    if folder in _FOLDER_USERS:
        return _FOLDER_USERS[folder]
    if name.parts[:2] == ("ansible", "roles"):
        role = name.parts[2]
        return frozenset(CATALOG_LAYERS) if role in _VENDOR_ROLES else frozenset({role})
    if folder == "layers" and name.stem in LAYERS:
        return frozenset({name.stem})
    return _FILE_USERS.get(name.as_posix())
