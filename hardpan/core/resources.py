"""Files of the package: templates, tables, roles, locks.

They are located through the import system, so that a checkout, an editable install and a wheel
work alike. Programs that hardpan starts (Ansible, jinja2's loader, a shell) need real paths;
hardpan is therefore installed as files and never imported from a zip archive.
"""

from importlib.resources import files
from pathlib import Path


def resource_path(package: str, *names: str) -> Path:
    """Return the path of a file or folder inside ``package``.

    Example: ``resource_path("hardpan.profiles", "lab-ai.yaml")``.

    Raises:
        ModuleNotFoundError: ``package`` is not part of hardpan.
    """
    return Path(str(files(package).joinpath(*names)))


def find_checkout() -> Path | None:
    """Return the source checkout that hardpan runs from; None for an installed wheel."""
    root = Path(str(files("hardpan"))).resolve().parent
    return root if (root / "images" / "lab" / "build.py").is_file() else None
