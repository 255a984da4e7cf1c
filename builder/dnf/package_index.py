"""The packages, groups and modules of a distribution, and how dnf finds them by name.

Source: ``install_specs`` and ``Subject`` of dnf 4, which Anaconda 34 and 40 call with the names in
``%packages`` (pyanaconda/modules/payloads/payload/dnf/dnf_manager.py). A name is matched as a
NEVRA in one of dnf's forms, then as something that a package provides, then as a file.
"""

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hardpan.builder.dnf.comps import Comps
from hardpan.builder.dnf.modules import Modules, ModuleStream
from hardpan.builder.dnf.repodata import Rpm

_GLOB = ("*", "?", "[")
_SOURCE_ARCHES = ("src", "nosrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """What an installer can choose from; packages of inactive module streams are not included."""

    comps: Comps
    modules: Modules
    by_name: dict[str, tuple[Rpm, ...]]
    """Name -> packages for this architecture, in repository order; other architectures last."""

    by_provide: dict[str, tuple[Rpm, ...]]
    hidden_by_name: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> module streams that have it, for packages of inactive streams."""

    def find(self, spec: str) -> tuple[Rpm, ...]:
        """Return the packages that dnf would consider for ``spec``; empty if there are none."""
        if any(character in spec for character in _GLOB):
            return self._find_pattern(spec)
        if spec in self.by_name:
            return self.by_name[spec]
        candidates = (rpm for name in _possible_names(spec) for rpm in self.by_name.get(name, ()))
        by_nevra = tuple(rpm for rpm in candidates if spec in _nevra_forms(rpm))
        return by_nevra or self.by_provide.get(spec, ())

    def _find_pattern(self, spec: str) -> tuple[Rpm, ...]:
        rpms = [rpm for rpms in self.by_name.values() for rpm in rpms]
        matches = tuple(
            rpm for rpm in rpms if any(fnmatch.fnmatchcase(x, spec) for x in _nevra_forms(rpm))
        )
        if matches:
            return matches
        names = [name for name in self.by_provide if fnmatch.fnmatchcase(name, spec)]
        return tuple(dict.fromkeys(rpm for name in names for rpm in self.by_provide[name]))


def build_index(
    rpms: Iterable[Rpm],
    comps: Comps,
    modules: Modules,
    *,
    arch: str,
    enabled_streams: Iterable[tuple[str, str]] = (),
) -> PackageIndex:
    """Index the packages of a distribution for the architecture ``arch``.

    ``enabled_streams`` are module and stream; default streams are active as well, unless another
    stream of the module is enabled.
    """
    active, inactive = _split_streams(modules, dict(enabled_streams))
    active_artifacts = {a for stream in active for a in stream.artifacts}
    modular_names = {_artifact_name(a) for a in active_artifacts}
    hidden: dict[str, dict[str, None]] = {}
    for stream in inactive:
        for artifact in stream.artifacts - active_artifacts:
            label = f"{stream.module}:{stream.stream}"
            hidden.setdefault(artifact, {})[label] = None
    by_name: dict[str, list[Rpm]] = {}
    by_provide: dict[str, dict[Rpm, None]] = {}
    hidden_by_name: dict[str, dict[str, None]] = {}
    for rpm in sorted(rpms, key=lambda rpm: rpm.arch not in (arch, "noarch")):
        if rpm.arch in _SOURCE_ARCHES:
            continue
        nevra = f"{rpm.name}-{rpm.epoch}:{rpm.version}-{rpm.release}.{rpm.arch}"
        if nevra in hidden:
            hidden_by_name.setdefault(rpm.name, {}).update(hidden[nevra])
            continue
        if rpm.name in modular_names and nevra not in active_artifacts:
            continue
        by_name.setdefault(rpm.name, []).append(rpm)
        for provide in rpm.provides:
            by_provide.setdefault(provide, {})[rpm] = None
    return PackageIndex(
        comps=comps,
        modules=modules,
        by_name={name: tuple(group) for name, group in by_name.items()},
        by_provide={name: tuple(group) for name, group in by_provide.items()},
        hidden_by_name={name: tuple(labels) for name, labels in hidden_by_name.items()},
    )


def _split_streams(
    modules: Modules, enabled: dict[str, str]
) -> tuple[list[ModuleStream], list[ModuleStream]]:
    active: list[ModuleStream] = []
    inactive: list[ModuleStream] = []
    for stream in modules.streams:
        defaults = modules.defaults.get(stream.module)
        chosen = enabled.get(stream.module, defaults.stream if defaults else "")
        (active if stream.stream == chosen else inactive).append(stream)
    return active, inactive


def _artifact_name(nevra: str) -> str:
    """Return the name in ``name-epoch:version-release.arch``."""
    return nevra.rsplit("-", 2)[0]


def _possible_names(spec: str) -> Iterator[str]:
    """Yield the names that ``spec`` may begin with: before a dot, one dash or two dashes."""
    yield spec.rpartition(".")[0]
    parts = spec.split("-")
    for count in (1, 2):
        if len(parts) > count:
            yield "-".join(parts[:-count])


def _nevra_forms(rpm: Rpm) -> Iterator[str]:
    """Yield the forms in which dnf accepts a package: NEVRA, NEVR, NEV, NA and N."""
    yield rpm.name
    yield f"{rpm.name}.{rpm.arch}"
    for version in (rpm.version, f"{rpm.epoch}:{rpm.version}"):
        yield f"{rpm.name}-{version}"
        yield f"{rpm.name}-{version}-{rpm.release}"
        yield f"{rpm.name}-{version}-{rpm.release}.{rpm.arch}"
