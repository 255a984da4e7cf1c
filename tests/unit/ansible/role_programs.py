"""The programs that roles run on a target, imported as Python would read them there."""

import importlib.util
import sys
from types import ModuleType

from hardpan.builder.ansible.paths import PLAYBOOKS


def program(name: str) -> ModuleType:
    """The module in the file ``name`` below the playbooks; its ``import host`` works."""
    if name != "files/host.py":
        sys.modules["host"] = program("files/host.py")
    path = PLAYBOOKS / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
