"""Vendor packages of a layer: repositories, signing keys, packages and version locks.

Shared by the five vendor layers. Pure functions, except ``load_keys``, ``prepare_packages``,
``install_packages`` and ``install_with_modules``.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from hardpan.builder import python_stacks
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import kernel_modules
from hardpan.builder.layers.base import Layer, LayerPreparation, LayerTask, PreparedLayer
from hardpan.builder.layers.kernel_modules import ModulePackage
from hardpan.builder.layers.signing_keys import load_signing_key
from hardpan.builder.vm.egress_proxy import Endpoint, endpoint_of
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError, raise_if_any
from hardpan.profiles.schema.profile import LayerName, Profile
from hardpan.profiles.software_catalog.package_plan import (
    DISTRIBUTION_REPOSITORY,
    PackageSpec,
    RepositorySource,
    distribution_repository,
    plan_packages,
)
from hardpan.profiles.software_catalog.schema import Purpose

KERNEL_VERSIONED = ("kernel-devel-matched",)
"""Packages installed at the kernel's own version; a newer one would install a second kernel."""

MEDIA_MOUNT_POINT = "/run/hardpan-media"
"""Where the guest mounts the install media."""

_MEDIA_FOLDERS = ("BaseOS", "AppStream")
_HINT = "add it to the profile's repositories; 'hardpan render' shows each repository"


def no_variables(_profile: Profile) -> Mapping[str, object]:
    """Return no variables beyond those of every vendor layer."""
    return {}


def no_details(_profile: Profile) -> str:
    """Return no details."""
    return ""


def no_modules(_profile: Profile) -> ModulePackage | None:
    """Return no package of kernel modules."""
    return None


def vendor_layer(
    *,
    name: LayerName,
    section: str,
    summary: str,
    details: Callable[[Profile], str] = no_details,
    extra_variables: Callable[[Profile], Mapping[str, object]] = no_variables,
    module_package: Callable[[Profile], ModulePackage | None] = no_modules,
) -> Layer:
    """Return a layer that installs packages of the software catalog.

    ``extra_variables`` are the role's variables other than repositories, streams and packages;
    ``module_package`` is the package of the kernel modules that the build makes.
    """

    def prepare(preparation: LayerPreparation) -> PreparedLayer:
        variables = extra_variables(preparation.profile)
        if module_package(preparation.profile) is not None:
            return PreparedLayer(variables=variables)
        return prepare_packages(preparation, variables)

    def run(task: LayerTask, prepared: PreparedLayer) -> LayerResult:
        package = module_package(task.profile)
        if package is None:
            return install_packages(task, prepared)
        return install_with_modules(task, prepared.variables, package)

    def offline_obstacle(profile: Profile) -> str:
        if module_package(profile) is not None:
            return (
                "its kernel modules are built in the build guest, and signed on the build machine"
            )
        return describe_remote_repositories(profile, name)

    def planned_variables(profile: Profile) -> Mapping[str, object]:
        keys = {repository.id: b"" for repository in repositories_for(profile, name)}
        return {**role_variables(profile, name, keys), **extra_variables(profile)}

    return Layer(
        name=name,
        section=section,
        summary=summary,
        details=details,
        prepare=prepare,
        run=run,
        offline_obstacle=offline_obstacle,
        planned_variables=planned_variables,
    )


def check_repositories(profile: Profile) -> None:
    """Check that every repository of the profile's layers has an address and a pinned key.

    Raises:
        InputError: a repository is incomplete; each one is reported with the missing settings.
        TrustError: a key in the profile does not match its pin.
    """
    errors = ErrorCollector()
    for repository, users in _used_repositories(profile):
        with errors.collecting("layers"):
            raise_if_any(list(_missing_settings(profile, repository, users)))
            if repository.key is not None:
                load_signing_key(repository)
    errors.raise_if_any()


def check_reachable(profile: Profile) -> None:
    """Check that a build guest can reach every repository of the profile's layers.

    Raises:
        InputError: an address is a folder, which does not exist in the guest.
    """
    errors = ErrorCollector()
    for repository, users in _used_repositories(profile):
        file_urls = [url for url in _urls(repository) if url.startswith("file:")]
        if file_urls and not repository.on_media:
            with errors.collecting("layers"):
                raise InputError(
                    f"{profile.name}: repository {repository.id}: expected an http or"
                    f" https address for {users}, got {', '.join(file_urls)}: the folder does"
                    " not exist in the build guest",
                    hint="serve the folder over HTTP on the build machine: http://127.0.0.1:PORT/",
                )
    errors.raise_if_any()


def allowed_endpoints(profile: Profile) -> tuple[Endpoint, ...]:
    """Return the endpoints that a build guest must reach, each once."""
    urls = (url for repository, _ in _used_repositories(profile) for url in _urls(repository))
    return tuple(dict.fromkeys(endpoint_of(url) for url in urls if url.startswith("http")))


def describe_remote_repositories(profile: Profile, layer: str) -> str:
    """Return why the layer's packages need a network; empty if they are on the install media."""
    names = [r.id for r in repositories_for(profile, layer) if not r.on_media]
    if not names:
        return ""
    noun = "repository" if len(names) == 1 else "repositories"
    return f"its packages come from the {noun} {', '.join(names)}, not from the install media"


def uses_media(profile: Profile) -> bool:
    """Return whether a layer installs packages from the install media."""
    return any(repository.on_media for repository, _ in _used_repositories(profile))


def prepare_packages(
    preparation: LayerPreparation, extra_variables: Mapping[str, object]
) -> PreparedLayer:
    """Verify the signing keys of the layer's repositories.

    Raises:
        TrustError: a key does not match its pin.
    """
    profile, layer = preparation.profile, preparation.layer
    keys_by_repository = load_keys(profile, layer)
    values = {**role_variables(profile, layer, keys_by_repository), **extra_variables}
    return PreparedLayer(variables=values)


def install_packages(task: LayerTask, prepared: PreparedLayer) -> LayerResult:
    """Run the role with the proxy of the guest.

    Raises:
        ToolError: the role failed; the error has the output of dnf.
    """
    return task.run({**prepared.variables, "vendor_packages_proxy": task.guest.proxy})


def install_with_modules(
    task: LayerTask, extra_variables: Mapping[str, object], package: ModulePackage
) -> LayerResult:
    """Build the layer's kernel modules unless its vendor has them, then run its role.

    Raises:
        TrustError: a key does not match its pin; the guest is unchanged.
        ToolError: a role or the packing of the modules failed.
    """
    profile, layer = task.profile, task.layer
    keys = load_keys(profile, layer)
    request = {**modules_request(profile, layer, keys), "proxy": task.guest.proxy}
    built, built_result = kernel_modules.build_modules(task, package, request)
    values = {**role_variables(profile, layer, keys), **extra_variables}
    if built.state == "precompiled":
        chosen = _with_purpose(packages_for(profile, layer), "precompiled")
        streams = [w.stream for w in chosen if w.stream]
        values[f"{layer}_streams"] = streams or values[f"{layer}_streams"]
        modules = [_package_variables(w) for w in chosen]
    else:
        modules = [package.variables]
    values[f"{layer}_packages"] = [*_runtime_packages(profile, layer), *modules]
    if built.state == "built":
        rpm = kernel_modules.pack_modules(task, package, built)
        key = python_stacks.load_site_key(task.cache).public.read_bytes()
        values["vendor_packages_rpm"] = str(rpm)
        values["vendor_packages_rpm_key"] = base64.b64encode(key).decode("ascii")
    result = task.run({**values, "vendor_packages_proxy": task.guest.proxy})
    return replace(
        result,
        changed_tasks=built_result.changed_tasks + result.changed_tasks,
        duration_s=built_result.duration_s + result.duration_s,
    )


def modules_request(
    profile: Profile, layer: str, keys_by_repository: Mapping[str, bytes]
) -> dict[str, object]:
    """Return what the role ``kernel_modules`` needs to find or build the layer's modules."""
    packages = packages_for(profile, layer)
    build = _with_purpose(packages, "build")
    return {
        "repositories": [
            _repository_variables(o, keys_by_repository[o.id])
            for o in repositories_for(profile, layer)
        ],
        "streams": list(dict.fromkeys(w.stream for w in build if w.stream)),
        "packages": [_package_variables(w) for w in build],
        "precompiled": [_package_variables(w) for w in _with_purpose(packages, "precompiled")],
    }


def load_keys(profile: Profile, layer: str) -> dict[str, bytes]:
    """Return repository id -> verified signing key.

    Raises:
        TrustError: a key does not match its pin.
        InputError: the vendor's address has no such file.
        UnreachableError: the vendor's server does not answer.
    """
    return {
        repository.id: b"" if repository.key_file else load_signing_key(repository)
        for repository in repositories_for(profile, layer)
    }


def repositories_for(profile: Profile, layer: str) -> tuple[RepositorySource, ...]:
    """Return the repositories of a layer's packages and of what they depend on, each once."""
    by_id = {w.repository.id: w.repository for w in packages_for(profile, layer)}
    distribution = distribution_repository(profile)
    if by_id and distribution is not None:
        by_id.setdefault(distribution.id, distribution)
    return tuple(by_id.values())


def packages_for(profile: Profile, layer: str) -> tuple[PackageSpec, ...]:
    """Return the packages that a layer installs."""
    return next(
        (
            layer_plan.packages or ()
            for layer_plan in plan_packages(profile)
            if layer_plan.layer == layer
        ),
        (),
    )


def role_variables(
    profile: Profile, layer: str, keys_by_repository: Mapping[str, bytes]
) -> dict[str, object]:
    """Return the role's variables, which are named after the layer.

    Packages that only a build needs are not among them.
    """
    packages = _with_purpose(packages_for(profile, layer), "run")
    used_ids = {w.repository.id for w in packages} | {DISTRIBUTION_REPOSITORY}
    return {
        f"{layer}_repositories": [
            _repository_variables(o, keys_by_repository[o.id])
            for o in repositories_for(profile, layer)
            if o.id in used_ids
        ],
        f"{layer}_streams": list(dict.fromkeys(w.stream for w in packages if w.stream)),
        f"{layer}_packages": _runtime_packages(profile, layer),
    }


def _runtime_packages(profile: Profile, layer: str) -> list[dict[str, object]]:
    packages = _with_purpose(packages_for(profile, layer), "run")
    return [_package_variables(w) for w in packages]


def _with_purpose(packages: tuple[PackageSpec, ...], purpose: Purpose) -> tuple[PackageSpec, ...]:
    return tuple(w for w in packages if w.purpose == purpose)


def _repository_variables(repository: RepositorySource, key: bytes) -> dict[str, object]:
    return {
        "id": f"hardpan-{repository.id}",
        "urls": list(_urls(repository)),
        # base64, so that Ansible never interprets a key as a template.
        "key": base64.b64encode(key).decode("ascii"),
        "key_file": repository.key_file or "",
        "key_sha256": (repository.key_sha256 or "") if repository.key_file else "",
        "build_only": repository.build_only,
    }


def _package_variables(package: PackageSpec) -> dict[str, object]:
    version_in_name = package.package.endswith("-*")
    return {
        "name": package.package.removesuffix("-*"),
        "version": package.version or "",
        # Where the kernel's version is inserted: after the name or as the version.
        "of_kernel": "name"
        if version_in_name
        else "version"
        if package.package in KERNEL_VERSIONED
        else "",
        "lock": package.lock is not None,
        "local": False,
    }


def _urls(repository: RepositorySource) -> tuple[str, ...]:
    if repository.on_media:
        return tuple(f"file://{MEDIA_MOUNT_POINT}/{folder}/" for folder in _MEDIA_FOLDERS)
    return (*([repository.url] if repository.url else []), *repository.more_urls)


def _used_repositories(profile: Profile) -> Iterator[tuple[RepositorySource, str]]:
    by_id: dict[str, RepositorySource] = {}
    users_by_id: dict[str, list[str]] = {}
    for layer in profile.layers:
        names = {w.repository.id: w.package for w in reversed(packages_for(profile, layer))}
        for repository in repositories_for(profile, layer):
            by_id.setdefault(repository.id, repository)
            user = f"{layer} ({names.get(repository.id, 'dependencies')})"
            users_by_id.setdefault(repository.id, []).append(user)
    for name, repository in by_id.items():
        yield repository, ", ".join(users_by_id[name])


def _missing_settings(
    profile: Profile, repository: RepositorySource, users: str
) -> Iterator[InputError]:
    missing = []
    if repository.url is None and not repository.on_media:
        missing.append("url")
    if repository.key_sha256 is None:
        key_source = f" of {repository.key_url}" if repository.key_url else ""
        missing += [f"key_sha256{key_source}"] if repository.key_url else ["key", "key_sha256"]
    if missing:
        yield InputError(
            f"{profile.name}: repository {repository.id}: expected {' and '.join(missing)}, which"
            f" {users} need; got none",
            hint=_HINT,
        )
