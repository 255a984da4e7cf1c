"""Resolve what a kickstart's ``%packages`` selects, as dnf does for Anaconda.

Groups and environments give their mandatory and default packages; a module gives the packages of
its default profile. Packages that these need are found by the names of what they require and
provide: versions, conflicts and rich dependencies are not evaluated, so sizes are approximate.
"""

from collections.abc import Iterable, Sequence

from hardpan.builder.dnf.comps import PackageGroup
from hardpan.builder.dnf.package_index import PackageIndex
from hardpan.builder.dnf.repodata import Rpm
from hardpan.builder.dnf.selection_result import (
    MissingItem,
    MissingKind,
    Selection,
    nearest_names,
)

CORE_GROUP = "core"
_INSTALLED_KINDS = ("mandatory", "default")
_DEFAULT_PROFILE = "default"


def enabled_streams(specs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return module and stream of the specs of the form ``@module:stream``."""
    streams = []
    for spec in specs:
        module, separator, stream = spec.removeprefix("@").partition("/")[0].partition(":")
        if spec.startswith("@") and separator:
            streams.append((module, stream))
    return tuple(streams)


def select_packages(
    index: PackageIndex,
    specs: Sequence[str],
    *,
    excluded: Sequence[str] = (),
    required: Sequence[tuple[str, str]] = (),
) -> Selection:
    """Resolve ``specs``: packages, ``@groups``, ``@^environments`` and ``@module:stream``.

    ``excluded`` are packages that are never installed. ``required`` are further packages with the
    program that needs them.
    """
    excluded_rpms = {rpm for spec in excluded for rpm in index.find(spec)}
    resolver = _Resolver(index, excluded_rpms)
    for spec in dict.fromkeys(specs):
        resolver.add_spec(spec)
    for name, needed_by in required:
        resolver.add_package(name, needed_by=needed_by)
    return resolver.finish()


class _Resolver:
    """Collects packages and what is missing, spec by spec."""

    def __init__(self, index: PackageIndex, excluded: set[Rpm]) -> None:
        self._index = index
        self._excluded = excluded
        self._requested: dict[Rpm, str] = {}
        """Package -> the requested name or group."""

        self._missing: dict[tuple[MissingKind, str], MissingItem] = {}

    def add_spec(self, spec: str) -> None:
        if spec.startswith("@^"):
            self._add_environment(spec[2:])
        elif spec.startswith("@"):
            self._add_group_or_module(spec[1:])
        else:
            self.add_package(spec, needed_by="")

    def add_package(self, name: str, *, needed_by: str) -> None:
        rpms = self._index.find(name)
        if not rpms:
            self._add_missing(
                MissingKind.PACKAGE,
                name,
                needed_by=needed_by,
                names=self._index.by_name,
                detail=self._describe_hidden(name),
            )
            return
        installable = [rpm for rpm in rpms if rpm not in self._excluded]
        if installable:
            self._requested.setdefault(installable[0], name)

    def _add_environment(self, name: str) -> None:
        environment = self._index.comps.find_environment(name)
        if environment is None:
            names = [e.id for e in self._index.comps.environments]
            self._add_missing(MissingKind.ENVIRONMENT, name, names=names)
            return
        for group_id in environment.group_ids:
            group = self._index.comps.find_group(group_id)
            if group is None:
                self._add_missing(MissingKind.GROUP, group_id, needed_by=f"environment {name}")
            else:
                self._add_group(group)

    def _add_group_or_module(self, spec: str) -> None:
        name, _, profile = spec.partition("/")
        module, separator, stream = name.partition(":")
        if separator or (not self._index.comps.find_group(name) and self._is_module(name)):
            self._add_module(module, stream, profile)
            return
        group = self._index.comps.find_group(name)
        if group is not None:
            self._add_group(group)
        elif self._index.comps.find_environment(name) is not None:
            self._add_environment(name)
        else:
            names = [g.id for g in self._index.comps.groups]
            self._add_missing(MissingKind.GROUP, name, names=names)

    def _add_group(self, group: PackageGroup) -> None:
        for member in group.members:
            if member.kind not in _INSTALLED_KINDS:
                continue
            rpms = self._index.find(member.name)
            if rpms:
                self.add_package(member.name, needed_by=f"group {group.id}")
            else:
                self._add_missing(
                    MissingKind.MEMBER,
                    member.name,
                    needed_by=f"{member.kind} in group {group.id}",
                    names=self._index.by_name,
                    is_fatal=group.id == CORE_GROUP and member.kind == "mandatory",
                )

    def _is_module(self, name: str) -> bool:
        return bool(self._index.modules.streams_of(name))

    def _add_module(self, module: str, stream: str, profile: str) -> None:
        streams = self._index.modules.streams_of(module)
        defaults = self._index.modules.defaults.get(module)
        version = stream or (defaults.stream if defaults else "")
        label = f"{module}:{version}" if version else module
        matching = [s for s in streams if s.stream == version]
        if not matching:
            labels = [f"{s.module}:{s.stream}" for s in streams or self._index.modules.streams]
            detail = "" if version or not streams else "it has no default stream"
            self._add_missing(MissingKind.MODULE, label, names=labels, detail=detail)
            return
        default_profiles = defaults.profiles.get(version, ()) if defaults else ()
        names = (profile,) if profile else default_profiles or (_DEFAULT_PROFILE,)
        profiles = {
            name: s.profiles[name] for s in matching for name in names if name in s.profiles
        }
        if not profiles:
            labels = [f"{label}/{name}" for s in matching for name in s.profiles]
            self._add_missing(MissingKind.MODULE, f"{label}/{names[0]}", names=labels)
        for packages in profiles.values():
            for package in packages:
                self.add_package(package, needed_by=f"module {label}")

    def _describe_hidden(self, name: str) -> str:
        streams = self._index.hidden_by_name.get(name, ())
        if not streams:
            return ""
        return f"only in the module streams {', '.join(streams)}, which are not enabled"

    def _add_missing(
        self,
        kind: MissingKind,
        name: str,
        *,
        needed_by: str = "",
        names: Iterable[str] = (),
        detail: str = "",
        is_fatal: bool = True,
    ) -> None:
        if kind is MissingKind.PACKAGE:
            # Requested by name, which is stricter than as a member of a group.
            self._missing.pop((MissingKind.MEMBER, name), None)
        elif kind is MissingKind.MEMBER and (MissingKind.PACKAGE, name) in self._missing:
            return
        self._missing.setdefault(
            (kind, name),
            MissingItem(
                kind=kind,
                name=name,
                needed_by=needed_by,
                suggestions=self._suggest(kind, name, list(names)),
                detail=detail,
                is_fatal=is_fatal,
            ),
        )

    def _suggest(self, kind: MissingKind, name: str, names: list[str]) -> tuple[str, ...]:
        """Return similar names, or packages that provide a more similar name."""
        suggestions = nearest_names(name, names, min_ratio=0.7)
        if not suggestions and kind is MissingKind.PACKAGE:
            provides = [p for p in self._index.by_provide if not set(p) & set("(/")]
            suggestions = tuple(
                self._index.by_provide[provide][0].name
                for provide in nearest_names(name, provides, min_ratio=0.8)
            )
        return tuple(dict.fromkeys(suggestions or nearest_names(name, names, min_ratio=0.6)))

    def finish(self) -> Selection:
        """Return the selection with everything that it needs."""
        dependencies = self._resolve_dependencies()
        return Selection(
            requested=tuple(self._requested),
            dependencies=tuple(rpm for rpm in dependencies if rpm not in self._requested),
            missing=tuple(self._missing.values()),
        )

    def _resolve_dependencies(self) -> dict[Rpm, None]:
        selected = dict.fromkeys(self._requested)
        provided = {name for rpm in selected for name in (rpm.name, *rpm.provides)}
        pending = list(selected)
        while pending:
            rpm = pending.pop(0)
            for requirement in rpm.requires:
                if requirement in provided or _is_not_evaluated(requirement):
                    continue
                provider = self._find_provider(requirement, rpm)
                if provider is not None:
                    selected[provider] = None
                    provided.update((provider.name, *provider.provides))
                    pending.append(provider)
        return selected

    def _find_provider(self, requirement: str, rpm: Rpm) -> Rpm | None:
        """Return the package to install for a requirement of ``rpm``; record it if none exists."""
        providers = self._index.by_provide.get(requirement, ()) or self._index.by_name.get(
            requirement, ()
        )
        installable = [p for p in providers if p not in self._excluded]
        if installable:
            return min(installable, key=lambda p: (p.name != requirement, len(p.name), p.name))
        if rpm in self._requested and (providers or not requirement.startswith("/")):
            # Files are only partly in the package list; the complete list is not read.
            excluded_names = ", ".join(sorted({p.name for p in providers}))
            detail = f"the profile removes {excluded_names}" if providers else ""
            self._add_missing(
                MissingKind.REQUIREMENT, requirement, needed_by=rpm.name, detail=detail
            )
        return None


def _is_not_evaluated(requirement: str) -> bool:
    """Return whether a requirement is rpm's own, or a rich dependency."""
    return requirement.startswith(("rpmlib(", "("))
