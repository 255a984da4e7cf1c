"""Load a profile from YAML and report all problems at once, with their locations.

``extends`` names a shipped profile or, with ``./`` or ``../`` in front, a file
relative to the profile. There is at most one parent. Maps are merged with the parent's, lists
and scalars replace them. ``name``, ``title`` and
``description`` are not inherited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, canonical_json, open_regular, sha256_bytes
from hardpan.core.limits import MAX_YAML_BYTES
from hardpan.core.validation_errors import LocatedProblem, format_value
from hardpan.core.yaml_source import YamlNode, merge, read_yaml
from hardpan.profiles.constraints import system
from hardpan.profiles.loader.shipped import find_shipped_profile, shipped_profiles
from hardpan.profiles.schema.profile import Profile

_NOT_INHERITED = ("name", "title", "description", "extends")
_LIST_ENTRIES = (
    "FromSource",
    "Partition",
    "RuleWaiver",
    "SignedRegistry",
    "SiteRepository",
    "Stack",
    "User",
)
_MAX_EXTENDS_DEPTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProfile:
    """A profile and the locations of its settings."""

    profile: Profile
    tree: YamlNode
    """The settings of the file and its parents."""


def load_profile(source: str | Path) -> Profile:
    """Load the profile in the file ``source``, or the shipped profile of that name.

    Raises:
        InputError: it does not exist or has problems; each is reported on a line as
            ``file:line:column: path: expected, got``.
    """
    return load_located_profile(source).profile


def load_located_profile(source: str | Path) -> LoadedProfile:
    """Load a profile as ``load_profile`` does, with the locations of its settings.

    Raises:
        InputError: as ``load_profile``.
    """
    tree = _load_merged(_find_profile_file(source), ())
    data = tree.to_plain()
    located_problems: list[LocatedProblem] = []
    try:
        profile = Profile.model_validate(data)
        sections = {name: getattr(profile, name) for name in Profile.model_fields}
    except ValidationError as e:
        errors = validation_errors.list_details(e)
        located_problems = [validation_errors.from_pydantic(tree, d) for d in errors]
        invalid_sections = {d["loc"][0] for d in errors if d["loc"]}
        sections = dict(_valid_sections(data, invalid_sections))
    located_problems += [
        validation_errors.locate(tree, violation.path, violation.text)
        for violation in system.violations(sections)
    ]
    if located_problems:
        raise InputError(
            validation_errors.format_problems(located_problems),
            hint="hardpan check --schema prints the JSON Schema",
        )
    return LoadedProfile(profile=_resolve_relative_paths(profile, tree), tree=tree)


_NOT_INSTALLED = {
    *("title", "description", "build_key", "layers", "smoke", "stig", "repositories"),
    *("ai_service", "audit", "containers", "frameworks", "kernel_hardening", "tuning"),
}


def profile_digest(profile: Profile) -> Sha256:
    """Return the digest of the profile's canonical JSON; comments and ``extends`` do not count."""
    return sha256_bytes(canonical_json(profile.model_dump(mode="json")))


def install_digest(profile: Profile) -> Sha256:
    """Return the digest of the settings that can decide a base install.

    Texts, and settings that only layers and scans read, do not count: another waiver does not
    need another install. Where such a setting adds packages or kernel arguments, these are in the
    kickstart itself.
    """
    settings = profile.model_dump(mode="json", exclude=_NOT_INSTALLED)
    return sha256_bytes(canonical_json(settings))


def profile_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a profile file, for editors.

    Maps inherit settings from the parent, so only profiles without ``extends`` and entries of
    lists have required settings.
    """
    json_schema = Profile.model_json_schema(by_alias=True)
    for name, definition in json_schema["$defs"].items():
        if name not in _LIST_ENTRIES:
            definition.pop("required", None)
    json_schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    json_schema["properties"]["extends"] = {
        "type": "string",
        "description": "A shipped profile, or ./FILE.yaml relative to this file.",
    }
    json_schema["anyOf"] = [
        {"required": json_schema.pop("required")},
        {"required": ["extends", "name", "title"]},
    ]
    return json_schema


def _resolve_relative_paths(profile: Profile, tree: YamlNode) -> Profile:
    """Return ``profile`` with relative paths resolved against the profile file's folder."""
    if profile.frameworks is None:
        return profile
    stacks = []
    for i, stack in enumerate(profile.frameworks.stacks):
        path = ("frameworks", "stacks", i)
        sources = tuple(
            source.model_copy(
                update=_resolve_paths(tree, (*path, "sources", j), source, ("build_lock",))
            )
            for j, source in enumerate(stack.sources)
        )
        updates = {**_resolve_paths(tree, path, stack, ("lock", "wheelhouse")), "sources": sources}
        stacks.append(stack.model_copy(update=updates))
    frameworks = profile.frameworks.model_copy(update={"stacks": tuple(stacks)})
    return profile.model_copy(update={"frameworks": frameworks})


def _resolve_paths(
    tree: YamlNode, path: tuple[str | int, ...], section: BaseModel, names: tuple[str, ...]
) -> dict[str, object]:
    """Return the relative path fields of ``section``, resolved against the file that sets them."""
    return {
        name: str(Path(tree.locate((*path, name)).file).parent / value)
        for name in names
        if (value := getattr(section, name) or "").startswith(("./", "../"))
    }


def _find_profile_file(source: str | Path) -> Path:
    shipped_file = find_shipped_profile(str(source))
    if shipped_file is not None and not (isinstance(source, Path) and source.is_file()):
        return shipped_file
    path = Path(source)
    if path.is_file():
        return path
    raise InputError(
        f"no profile {str(source)!a}: neither a file nor a shipped profile",
        hint=f"shipped: {', '.join(shipped_profiles())}",
    )


def _load_merged(path: Path, chain: tuple[Path, ...]) -> YamlNode:
    with open_regular(path) as f:
        tree = read_yaml(f.read(MAX_YAML_BYTES + 1), str(path))
    if not isinstance(tree.value, dict):  # read_yaml() rejects it; for mypy
        return tree
    extends = tree.value.pop("extends", None)
    if extends is None:
        return tree
    chain = (*chain, path.resolve())
    parent = _find_parent(extends, path)
    if parent.resolve() in chain:
        raise InputError(f"{extends.location}: extends: {parent.name} is circular")
    if len(chain) >= _MAX_EXTENDS_DEPTH:
        raise InputError(
            f"{extends.location}: extends: more than {_MAX_EXTENDS_DEPTH} profiles deep"
        )
    base = _load_merged(parent, chain)
    inherited = (
        {k: v for k, v in base.value.items() if k not in _NOT_INHERITED}
        if isinstance(base.value, dict)
        else {}
    )
    return merge(YamlNode(value=inherited, location=base.location), tree)


def _find_parent(extends: YamlNode, path: Path) -> Path:
    name = extends.value
    if not isinstance(name, str):
        raise InputError(
            f"{extends.location}: extends: expected a name, got {format_value(extends.to_plain())}"
        )
    if name.startswith(("./", "../")):
        parent = path.parent / name
        if parent.is_file():
            return parent
        raise InputError(f"{extends.location}: extends: expected a file, got no {str(parent)!a}")
    shipped_file = find_shipped_profile(name)
    if shipped_file is None:
        raise InputError(
            f"{extends.location}: extends: expected ./FILE.yaml or one of"
            f" {', '.join(shipped_profiles())}, got {format_value(name)}"
        )
    return shipped_file


def _valid_sections(data: object, invalid_sections: set[int | str]) -> Iterator[tuple[str, object]]:
    if not isinstance(data, dict):
        return
    for name, field in Profile.model_fields.items():
        if name in invalid_sections:
            continue
        if name in data:
            adapter: TypeAdapter[object] = TypeAdapter(field.rebuild_annotation())
            yield name, adapter.validate_python(data[name])
        elif not field.is_required():
            yield name, field.get_default()
