# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of its own: dnf resolves, waits for the target, then installs.

It uses dnf's API as Anaconda does (``dnf_manager.py``, ``transaction_progress.py``), so
that a package or group that is missing gives Anaconda's own sentence. The request is one
line of JSON on standard input; a second line starts the transaction. The answers are
lines of JSON ``[token, text]`` on standard output.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from .comps import Comps

_CACHE = "/tmp/dnf.cache"  # noqa: S108  (Anaconda's; no other users here)
_HISTORY = Path("/tmp/dnf.history")  # noqa: S108
_ROOT_DATABASE = "var/lib/rpm"


class _Reporter:
    """Writes tokens to what was standard output; scriptlets write to the log instead."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, token: str, text: str = "") -> None:
        """Send one token."""
        self._stream.write(json.dumps([token, text]) + "\n")
        self._stream.flush()


def main() -> int:
    """Resolve and install. Returns 0, or 1 after the reason has been sent."""
    reporter = _Reporter()
    request = json.loads(sys.stdin.readline())
    # Imported here: unit tests read this module where dnf is not installed.
    import dnf  # type: ignore[import-not-found]

    try:
        with _open_base(request) as base:
            _resolve(base, request, reporter)
            if not sys.stdin.readline():
                return 0  # the installer has stopped
            _install(base, reporter)
    except dnf.exceptions.MarkingErrors as e:
        broken = e.error_group_specs or e.error_pkg_specs or e.module_depsolv_errors
        reporter.send("broken" if broken else "missing", str(e).strip())
        return 1
    except dnf.exceptions.DepsolveError as e:
        reporter.send("unresolved", str(e).strip())
        return 1
    except Exception as e:  # noqa: BLE001  (outermost: the parent reports it)
        reporter.send("error", f"{type(e).__name__}: {e}")
        return 1
    reporter.send("quit", "DNF quit")
    return 0


def _open_base(request: dict[str, Any]) -> Any:
    import dnf
    import rpm  # type: ignore[import-not-found]

    root = Path(request["root"])
    # The target is not there yet: it starts with the packages of this environment's image.
    database = root / _ROOT_DATABASE
    if request["is_image"] and not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        database.symlink_to(f"/{_ROOT_DATABASE}")
    # This process's setting, not the new system's. rpm would hash all packages once more,
    # right after dnf has (measured: 13 s).
    rpm.addMacro("_pkgverify_level", "none")
    for name, value in request["macros"]:
        rpm.addMacro(name, value)
    base = dnf.Base()
    base.conf.read()
    base.conf.plugins = False
    base.conf.cachedir = _CACHE
    base.conf.persistdir = str(_HISTORY)
    base.conf.logdir = "/tmp/"  # noqa: S108
    base.conf.installroot = str(root)
    base.conf.releasever = request["release"]
    # As Anaconda: no signature is checked, neither a package's nor an index's.
    base.conf.gpgcheck = False
    base.conf.skip_if_unavailable = False
    base.conf.install_weak_deps = request["weak_dependencies"]
    base.conf.module_platform_id = request["platform"]
    base.conf.reposdir = []
    for name, url in request["repositories"]:
        repository = dnf.repo.Repo(name, base.conf)
        repository.baseurl = [url]
        base.repos.add(repository)
    return base


def _read_comps(base: Any) -> Comps:
    import dnf.yum.misc  # type: ignore[import-not-found]

    comps = Comps()
    for repository in base.repos.iter_enabled():
        path = repository._repo.getCompsFn()
        if path:
            plain = f"{_CACHE}/{repository.id}-comps.xml"
            dnf.yum.misc.decompress(path, dest=plain)
            comps.add(Path(plain).read_bytes())
    return comps


def _resolve(base: Any, request: dict[str, Any], reporter: _Reporter) -> None:
    import dnf

    base.fill_sack(load_system_repo="auto")
    comps = _read_comps(base)
    include, missing_groups = _expand_groups(base, comps, request["include"])
    exclude, _ = comps.expand(request["exclude"])
    missing_packages: list[str] = []
    try:
        base.install_specs(install=include, exclude=exclude, strict=True)
    except dnf.exceptions.MarkingErrors as e:
        if e.error_group_specs or e.error_pkg_specs or e.module_depsolv_errors:
            raise
        missing_packages = list(e.no_match_pkg_specs)
    if (missing_packages or missing_groups) and not request["ignore_missing"]:
        raise dnf.exceptions.MarkingErrors(
            no_match_group_specs=missing_groups, no_match_pkg_specs=missing_packages
        )
    base.resolve()
    packages = [item.pkg for item in base.transaction]
    sizes = {
        "packages": len(packages),
        "install_bytes": sum(p.installsize for p in packages),
        "download_bytes": sum(p.downloadsize for p in packages),
        "image_bytes": sum(p.installsize for p in base.sack.query().installed()),
    }
    reporter.send("resolved", json.dumps(sizes))


def _expand_groups(base: Any, comps: Comps, specs: list[str]) -> tuple[list[str], list[str]]:
    """Groups as their packages that exist; and the groups that do not exist.

    What a group lists and no repository has is no error, as with dnf.
    """
    packages = [s for s in specs if not s.startswith("@")]
    members, missing = comps.expand(s for s in specs if s.startswith("@"))
    available = {p.name for p in base.sack.query()}
    return [*(m for m in members if m in available), *packages], missing


def _install(base: Any, reporter: _Reporter) -> None:
    reporter.send("downloading")
    base.download_packages(base.transaction.install_set)
    reporter.send("preparing")
    base.do_transaction(display=_make_display(reporter))
    target = Path(base.conf.installroot, "var/lib/dnf")
    if _HISTORY.is_dir():
        shutil.copytree(
            _HISTORY, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pid")
        )


def format_count(package: Any, count: int, total: int) -> str:
    """A package with its place in the transaction."""
    return f"{package.name}.{package.arch} ({count}/{total})"


def _make_display(reporter: _Reporter) -> Any:
    """Anaconda's progress: one token per package, by dnf's callbacks."""
    import dnf.callback  # type: ignore[import-not-found]
    import dnf.transaction  # type: ignore[import-not-found]

    class Display(dnf.callback.TransactionProgress):  # type: ignore[misc]  # dnf is not typed
        last_count = -1
        is_post = False

        def progress(
            self, package: Any, action: int, done: int, total: int, count: int, count_total: int
        ) -> None:
            if action == dnf.transaction.PKG_INSTALL and done == 0:
                if self.last_count != count:
                    self.last_count = count
                    reporter.send(
                        "install", f"{package.name}.{package.arch} ({count}/{count_total})"
                    )
            elif action == dnf.transaction.TRANS_POST:
                self.is_post = True
                reporter.send("post")
            elif action == dnf.transaction.PKG_SCRIPTLET and self.is_post:
                reporter.send("configure", f"{package.name}.{package.arch}")
            elif action == dnf.transaction.PKG_VERIFY:
                reporter.send("verify", format_count(package, count, count_total))

        def error(self, message: str) -> None:
            reporter.send("error", message)

    return Display()


if __name__ == "__main__":
    sys.exit(main())
