"""From a profile to what the vendors' layers are given: repositories, keys, packages, locks.

One share for all five layers; what else a layer's role needs to know is in the layer's
own file. All is pure but ``keys`` and ``install``.
"""

import base64
from collections.abc import Iterator, Mapping

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask
from hardpan.builder.layers.signing_keys import load_signing_key
from hardpan.builder.vm.egress_proxy import Endpoint, endpoint_of
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError, raise_if_any
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import (
    CATALOG_LAYERS,
    PackageSpec,
    RepositorySource,
    plan_packages,
)

KERNEL_VERSIONED = ("kernel-devel-matched",)
"""Packages that are taken at the version of the installed kernel: a newer one brings a second."""

_HINT = "add it to the profile's repositories; 'hardpan render' shows what is known of each"


def check_repositories(profile: Profile) -> None:
    """Pass if every repository of the profile's layers has an address and a pinned key.

    Raises:
        InputError: one has not; each is named with what to add.
        TrustError: a key that the profile holds is not the pinned one.
    """
    errors = ErrorCollector()
    for repository, users in _used_repositories(profile):
        with errors.collecting("layers"):
            raise_if_any(list(_missing_settings(profile, repository, users)))
            if repository.key is not None:
                load_signing_key(repository)
    errors.raise_if_any()


def check_reachable(profile: Profile) -> None:
    """Pass if a guest of a build can reach every repository of the profile's layers.

    Raises:
        InputError: an address names a folder, which would have to be on the fresh system.
    """
    errors = ErrorCollector()
    for repository, users in _used_repositories(profile):
        file_urls = [url for url in _urls(repository) if url.startswith("file:")]
        if file_urls:
            with errors.collecting("layers"):
                raise InputError(
                    f"{profile.name}: repository {repository.id}: expected an http or https address,"
                    f" which {users} need; found {', '.join(file_urls)}: a folder of the machine"
                    " that is built, which has none",
                    hint="serve the folder by http on the build machine: http://127.0.0.1:PORT/",
                )
    errors.raise_if_any()


def allowed_endpoints(profile: Profile) -> tuple[Endpoint, ...]:
    """What a build's guest must reach for the profile's layers, each once."""
    urls = (url for repository, _ in _used_repositories(profile) for url in _urls(repository))
    return tuple(dict.fromkeys(endpoint_of(url) for url in urls if url.startswith("http")))


def install_packages(task: LayerTask, extra_variables: Mapping[str, object]) -> LayerResult:
    """Check the layer's keys, then run its role; ``more`` are the layer's own variables.

    Raises:
        TrustError: a key is not the pinned one; the guest has not been touched.
        ToolError: the guest could not do it; what dnf or the role said is in the error.
    """
    keys_by_repository = load_keys(task.profile, task.layer)
    values = {**role_variables(task.profile, task.layer, keys_by_repository), **extra_variables}
    return task.run({**values, "vendor_packages_proxy": task.guest.proxy})


def load_keys(profile: Profile, layer: str) -> dict[str, bytes]:
    """Repository id -> its key, checked.

    Raises:
        TrustError: one is not the pinned one.
        InputError: there is none at the vendor's address.
        UnreachableError: the vendor's server does not answer.
    """
    return {
        repository.id: load_signing_key(repository)
        for repository in repositories_for(profile, layer)
    }


def repositories_for(profile: Profile, layer: str) -> tuple[RepositorySource, ...]:
    """The repositories that a layer's packages come from, each once."""
    by_id = {w.repository.id: w.repository for w in packages_for(profile, layer)}
    return tuple(by_id.values())


def packages_for(profile: Profile, layer: str) -> tuple[PackageSpec, ...]:
    """The packages that a layer installs."""
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
    """The role's variables, named after the layer; ``known`` holds the repositories' keys."""
    packages = packages_for(profile, layer)
    return {
        f"{layer}_repositories": [
            _repository_variables(o, keys_by_repository[o.id])
            for o in repositories_for(profile, layer)
        ],
        f"{layer}_streams": list(dict.fromkeys(w.stream for w in packages if w.stream)),
        f"{layer}_packages": [_package_variables(w) for w in packages],
    }


def _repository_variables(repository: RepositorySource, key: bytes) -> dict[str, object]:
    return {
        "id": f"hardpan-{repository.id}",
        "urls": list(_urls(repository)),
        # Nothing in a key may look like a template to Ansible.
        "key": base64.b64encode(key).decode("ascii"),
    }


def _package_variables(package: PackageSpec) -> dict[str, object]:
    version_in_name = package.package.endswith("-*")
    return {
        "name": package.package.removesuffix("-*"),
        "version": package.version or "",
        # Where the kernel's version goes: behind the name, or in the place of a version.
        "of_kernel": "name"
        if version_in_name
        else "version"
        if package.package in KERNEL_VERSIONED
        else "",
        "lock": package.lock is not None,
    }


def _urls(repository: RepositorySource) -> tuple[str, ...]:
    return (*([repository.url] if repository.url else []), *repository.more_urls)


def _used_repositories(profile: Profile) -> Iterator[tuple[RepositorySource, str]]:
    by_id: dict[str, RepositorySource] = {}
    users_by_id: dict[str, list[str]] = {}
    for layer_plan in plan_packages(profile):
        for package in layer_plan.packages or () if layer_plan.layer in CATALOG_LAYERS else ():
            by_id.setdefault(package.repository.id, package.repository)
            users_by_id.setdefault(package.repository.id, []).append(
                f"{layer_plan.layer} ({package.package})"
            )
    for name, repository in by_id.items():
        yield repository, ", ".join(dict.fromkeys(users_by_id[name]))


def _missing_settings(
    profile: Profile, repository: RepositorySource, users: str
) -> Iterator[InputError]:
    missing = []
    if repository.url is None:
        missing.append("url")
    if repository.key_sha256 is None:
        key_source = f" of {repository.key_url}" if repository.key_url else ""
        missing += [f"key_sha256{key_source}"] if repository.key_url else ["key", "key_sha256"]
    if missing:
        yield InputError(
            f"{profile.name}: repository {repository.id}: expected {' and '.join(missing)}, which"
            f" {users} need; found none",
            hint=_HINT,
        )
