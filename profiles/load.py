"""YAML file -> frozen profile, with every problem told at once and its place.

``extends`` names a shipped profile or, with ``./`` or ``../`` in front, a file
relative to the one that says it. There is one parent at most. Maps merge with
the parent's, lists and scalars replace the parent's. ``name``, ``title`` and
``description`` are not inherited.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from hardpan.errors import InputError
from hardpan.files import Sha256, canonical_json, open_regular, sha256_bytes
from hardpan.profiles import catalog, problems, rules
from hardpan.profiles.model import Profile
from hardpan.profiles.problems import Problem, shown
from hardpan.profiles.tree import MAX_BYTES, Tree, merged, read

_OWN = ("name", "title", "description", "extends")
_LIST_ENTRIES = (
    "FromSource",
    "Partition",
    "RuleWaiver",
    "SignedRegistry",
    "SiteRepository",
    "Stack",
    "User",
)
_CHAIN_MOST = 6


def load(source: str | Path) -> Profile:
    """The profile in the file ``source``, or the shipped profile of that name.

    Raises:
        InputError: there is none, or it has problems; every one of them is told
            on a line of its own as ``file:line:column: path: expected, found``.
    """
    tree = _resolved(_file(source), ())
    data = tree.plain()
    bad: list[Problem] = []
    try:
        profile = Profile.model_validate(data)
        parts = {name: getattr(profile, name) for name in Profile.model_fields}
    except ValidationError as e:
        # An entry with a problem is not counted, so the list seems too short as well.
        found = [
            d for d in e.errors(include_url=False) if not (d["type"] == "too_short" and d["input"])
        ]
        bad = [problems.of_pydantic(tree, d) for d in found]
        wrong = {d["loc"][0] for d in found if d["loc"]}
        parts = dict(_good_parts(data, wrong))
    bad += [problems.at(tree, broken.path, broken.text) for broken in rules.broken(parts)]
    if bad:
        raise InputError(problems.told(bad), hint="hardpan check --schema prints the JSON Schema")
    return _anchored(profile, tree)


def digest(profile: Profile) -> Sha256:
    """The digest of the profile's canonical JSON; comments and ``extends`` leave no trace."""
    return sha256_bytes(canonical_json(profile.model_dump(mode="json")))


def schema() -> dict[str, Any]:
    """The JSON Schema of a profile file, for editors.

    A map may get what it lacks from the parent, so only a profile without
    ``extends`` and the entries of lists have required settings in it.
    """
    found = Profile.model_json_schema(by_alias=True)
    for name, definition in found["$defs"].items():
        if name not in _LIST_ENTRIES:
            definition.pop("required", None)
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["properties"]["extends"] = {
        "type": "string",
        "description": "A shipped profile, or ./FILE.yaml relative to this file.",
    }
    found["anyOf"] = [
        {"required": found.pop("required")},
        {"required": ["extends", "name", "title"]},
    ]
    return found


def _anchored(profile: Profile, tree: Tree) -> Profile:
    """``profile`` with what lies beside a profile file found from where hardpan was started."""
    if profile.frameworks is None:
        return profile
    stacks = []
    for i, stack in enumerate(profile.frameworks.stacks):
        at = ("frameworks", "stacks", i)
        sources = tuple(
            source.model_copy(update=_beside(tree, (*at, "sources", j), source, ("build_lock",)))
            for j, source in enumerate(stack.sources)
        )
        found = {**_beside(tree, at, stack, ("lock", "wheelhouse")), "sources": sources}
        stacks.append(stack.model_copy(update=found))
    frameworks = profile.frameworks.model_copy(update={"stacks": tuple(stacks)})
    return profile.model_copy(update={"frameworks": frameworks})


def _beside(
    tree: Tree, at: tuple[str | int, ...], section: BaseModel, names: tuple[str, ...]
) -> dict[str, object]:
    """The fields of ``section`` that are paths relative to the profile, made whole."""
    return {
        name: str(Path(tree.at((*at, name)).file).parent / written)
        for name in names
        if (written := getattr(section, name) or "").startswith(("./", "../"))
    }


def _file(source: str | Path) -> Path:
    shipped = catalog.path(str(source))
    if shipped is not None and not (isinstance(source, Path) and source.is_file()):
        return shipped
    path = Path(source)
    if path.is_file():
        return path
    raise InputError(
        f"no profile {str(source)!a}: neither a file nor a shipped profile",
        hint=f"shipped: {', '.join(catalog.shipped())}",
    )


def _resolved(path: Path, chain: tuple[Path, ...]) -> Tree:
    with open_regular(path) as f:
        tree = read(f.read(MAX_BYTES + 1), str(path))
    if not isinstance(tree.value, dict):  # read() has seen to it; this tells mypy
        return tree
    said = tree.value.pop("extends", None)
    if said is None:
        return tree
    chain = (*chain, path.resolve())
    parent = _parent(said, path)
    if parent.resolve() in chain:
        raise InputError(f"{said.place}: extends: {parent.name} leads back to itself")
    if len(chain) >= _CHAIN_MOST:
        raise InputError(f"{said.place}: extends: more than {_CHAIN_MOST} profiles deep")
    base = _resolved(parent, chain)
    inherited = (
        {k: v for k, v in base.value.items() if k not in _OWN}
        if isinstance(base.value, dict)
        else {}
    )
    return merged(Tree(value=inherited, place=base.place), tree)


def _parent(said: Tree, path: Path) -> Path:
    name = said.value
    if not isinstance(name, str):
        raise InputError(f"{said.place}: extends: expected a name, found {shown(said.plain())}")
    if name.startswith(("./", "../")):
        parent = path.parent / name
        if parent.is_file():
            return parent
        raise InputError(f"{said.place}: extends: expected a file, found no {str(parent)!a}")
    shipped = catalog.path(name)
    if shipped is None:
        raise InputError(
            f"{said.place}: extends: expected ./FILE.yaml or one of"
            f" {', '.join(catalog.shipped())}, found {shown(name)}"
        )
    return shipped


def _good_parts(data: object, wrong: set[int | str]) -> Iterator[tuple[str, object]]:
    if not isinstance(data, dict):
        return
    for name, field in Profile.model_fields.items():
        if name in wrong:
            continue
        if name in data:
            adapter: TypeAdapter[object] = TypeAdapter(field.rebuild_annotation())
            yield name, adapter.validate_python(data[name])
        elif not field.is_required():
            yield name, field.get_default()
