"""From a profile to what the vendors' layers are given: repositories, keys, packages, locks.

One share for all five layers; what else a layer's role needs to know is in the layer's
own file. All is pure but ``keys`` and ``install``.
"""

import base64
from collections.abc import Iterator, Mapping

from hardpan.builder.layers.keys import key_of
from hardpan.builder.layers.task import Task
from hardpan.builder.machine.tunnel import Endpoint, endpoint
from hardpan.builder.receipts import LayerReceipt
from hardpan.errors import InputError, raise_all
from hardpan.problems import Problems
from hardpan.profiles.model import Profile
from hardpan.profiles.software.plan import LISTED, Origin, Wanted, plan

KERNELS = ("kernel-devel-matched",)
"""Packages that are taken at the version of the installed kernel: a newer one brings a second."""

_ADD = "add it to the profile's repositories; 'hardpan render' shows what is known of each"


def check(profile: Profile) -> None:
    """Pass if every repository of the profile's layers has an address and a pinned key.

    Raises:
        InputError: one has not; each is named with what to add.
        TrustError: a key that the profile holds is not the pinned one.
    """
    found = Problems()
    for origin, users in _uses(profile):
        with found.of("layers"):
            raise_all(list(_lacks(profile, origin, users)))
            if origin.key is not None:
                key_of(origin)
    found.raise_all()


def check_reach(profile: Profile) -> None:
    """Pass if a guest of a build can reach every repository of the profile's layers.

    Raises:
        InputError: an address names a folder, which would have to be on the fresh system.
    """
    found = Problems()
    for origin, users in _uses(profile):
        folders = [url for url in _urls(origin) if url.startswith("file:")]
        if folders:
            with found.of("layers"):
                raise InputError(
                    f"{profile.name}: repository {origin.id}: expected an http or https address,"
                    f" which {users} need; found {', '.join(folders)}: a folder of the machine"
                    " that is built, which has none",
                    hint="serve the folder by http on the build machine: http://127.0.0.1:PORT/",
                )
    found.raise_all()


def reached(profile: Profile) -> tuple[Endpoint, ...]:
    """What a build's guest must reach for the profile's layers, each once."""
    urls = (url for origin, _ in _uses(profile) for url in _urls(origin))
    return tuple(dict.fromkeys(endpoint(url) for url in urls if url.startswith("http")))


def install(task: Task, more: Mapping[str, object]) -> LayerReceipt:
    """Check the layer's keys, then run its role; ``more`` are the layer's own variables.

    Raises:
        TrustError: a key is not the pinned one; the guest has not been touched.
        ToolError: the guest could not do it; what dnf or the role said is in the error.
    """
    known = keys(task.profile, task.layer)
    given = {**variables(task.profile, task.layer, known), **more}
    return task.run({**given, "vendor_packages_proxy": task.guest.proxy})


def keys(profile: Profile, layer: str) -> dict[str, bytes]:
    """Repository id -> its key, checked.

    Raises:
        TrustError: one is not the pinned one.
        InputError: there is none at the vendor's address.
        UnreachableError: the vendor's server does not answer.
    """
    return {origin.id: key_of(origin) for origin in origins(profile, layer)}


def origins(profile: Profile, layer: str) -> tuple[Origin, ...]:
    """The repositories that a layer's packages come from, each once."""
    found = {w.origin.id: w.origin for w in wanted(profile, layer)}
    return tuple(found.values())


def wanted(profile: Profile, layer: str) -> tuple[Wanted, ...]:
    """The packages that a layer installs."""
    return next((made.packages or () for made in plan(profile) if made.layer == layer), ())


def variables(profile: Profile, layer: str, known: Mapping[str, bytes]) -> dict[str, object]:
    """The role's variables, named after the layer; ``known`` holds the repositories' keys."""
    packages = wanted(profile, layer)
    return {
        f"{layer}_repositories": [_repository(o, known[o.id]) for o in origins(profile, layer)],
        f"{layer}_streams": list(dict.fromkeys(w.stream for w in packages if w.stream)),
        f"{layer}_packages": [_package(w) for w in packages],
    }


def _repository(origin: Origin, key: bytes) -> dict[str, object]:
    return {
        "id": f"hardpan-{origin.id}",
        "urls": list(_urls(origin)),
        # Nothing in a key may look like a template to Ansible.
        "key": base64.b64encode(key).decode("ascii"),
    }


def _package(w: Wanted) -> dict[str, object]:
    in_name = w.package.endswith("-*")
    return {
        "name": w.package.removesuffix("-*"),
        "version": w.version or "",
        # Where the kernel's version goes: behind the name, or in the place of a version.
        "of_kernel": "name" if in_name else "version" if w.package in KERNELS else "",
        "lock": w.lock is not None,
    }


def _urls(origin: Origin) -> tuple[str, ...]:
    return (*([origin.url] if origin.url else []), *origin.more_urls)


def _uses(profile: Profile) -> Iterator[tuple[Origin, str]]:
    seen: dict[str, Origin] = {}
    users: dict[str, list[str]] = {}
    for made in plan(profile):
        for w in made.packages or () if made.layer in LISTED else ():
            seen.setdefault(w.origin.id, w.origin)
            users.setdefault(w.origin.id, []).append(f"{made.layer} ({w.package})")
    for name, origin in seen.items():
        yield origin, ", ".join(dict.fromkeys(users[name]))


def _lacks(profile: Profile, origin: Origin, users: str) -> Iterator[InputError]:
    lacks = []
    if origin.url is None:
        lacks.append("url")
    if origin.key_sha256 is None:
        known = f" of {origin.key_url}" if origin.key_url else ""
        lacks += [f"key_sha256{known}"] if origin.key_url else ["key", "key_sha256"]
    if lacks:
        yield InputError(
            f"{profile.name}: repository {origin.id}: expected {' and '.join(lacks)}, which"
            f" {users} need; found none",
            hint=_ADD,
        )
