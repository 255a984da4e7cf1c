"""Validate the roles of a profile without a host.

Ansible reads every role and checks the planned variables against the role's argument_specs.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hardpan.builder.ansible.runner import argument_errors, check_syntax
from hardpan.builder.layers.registry import layers_of
from hardpan.core.errors import InputError, raise_if_any
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS


def validate_roles(profile: Profile) -> None:
    """Check that Ansible can read the profile's roles and that they accept their variables.

    Raises:
        ToolError: Ansible is missing, or a role cannot be read.
        InputError: a role rejects its variables.
    """
    variables = planned_variables(profile)
    has_packages = any(x in CATALOG_LAYERS for x in variables)
    shared_roles = ("vendor_packages", "kernel_modules") if has_packages else ()
    with tempfile.TemporaryDirectory(prefix="hardpan-roles-") as temp_dir:
        workdir = Path(temp_dir)
        check_syntax([*variables, *shared_roles], workdir)
        errors = argument_errors(variables, workdir)
    raise_if_any([InputError(f"{profile.name}: layer {error}") for error in errors])


def planned_variables(profile: Profile) -> dict[str, Mapping[str, object]]:
    """Return the variables of the profile's roles before a build, in the order of its layers."""
    return {layer.name: layer.planned_variables(profile) for layer in layers_of(profile)}
