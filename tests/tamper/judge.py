"""The cases as they lie in their folders, and what each verifier says of one."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import yaml

from hardpan.errors import InputError, ToolError
from hardpan.process import run
from hardpan.scanners.evidence.checks import RefusedError, Status
from hardpan.scanners.evidence.verify import verify
from tests.tamper.kit import Evidence, Workshop, packed

HERE = Path(__file__).parent
TYPE = "https://hardpan.dev/attestation/compliance-scan/v1"
_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'

Forge = Callable[[Workshop], Evidence | list[Evidence]]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One forgery, or the twin that must pass."""

    case: str
    name: str
    forge: Forge
    hardpan: str
    """``verified``, or the check that fails and what it says, or ``over: …``."""

    passed: tuple[str, ...]
    """Checks that must have been made, and hold."""

    script: str
    """``accepts``, ``refuses``, or ``-`` where there is no folder to look at."""

    cosign: str

    def all(self, w: Workshop) -> list[Evidence]:
        """What was forged; often one, sometimes many of a kind."""
        made = self.forge(w)
        return made if isinstance(made, list) else [made]


def folders() -> list[Path]:
    """The cases' folders."""
    return sorted(p for p in HERE.iterdir() if p.is_dir() and p.name[:2].isdigit())


def variants() -> list[Variant]:
    """Every variant of every case."""
    return [v for folder in folders() for v in _of(folder)]


def _of(folder: Path) -> list[Variant]:
    spec = spec_from_file_location(f"tamper_{folder.name[:2]}", folder / "case.py")
    if spec is None or spec.loader is None:
        raise ImportError(str(folder))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    forges: dict[str, Forge] = module.VARIANTS
    expected: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text("utf-8"))
    if list(forges) != list(expected):
        raise KeyError(f"{folder.name}: case.py and expected.yaml name different variants")
    return [
        Variant(
            case=folder.name,
            name=name,
            forge=forge,
            hardpan=expected[name]["hardpan"],
            passed=tuple(expected[name].get("passed", ())),
            script=expected[name]["verify.sh"],
            cosign=expected[name]["cosign"],
        )
        for name, forge in forges.items()
    ]


def hardpan(w: Workshop, e: Evidence) -> tuple[str, frozenset[str]]:
    """What hardpan says, in the form of ``Variant.hardpan``, and which checks passed."""
    path = packed(e, w.folder / "case.evidence.zip")
    try:
        verified = verify(path, w.trust(e.policy), now=e.now)
    except RefusedError as refused:
        failed = next(o for o in refused.outcomes if o.outcome is Status.FAILED)
        return f"{failed.id}: {failed.why}", frozenset()
    except InputError as wrong:
        return f"policy cannot be used: {wrong}", frozenset()
    over = next(o for o in verified.outcomes if o.id == "limits")
    passed = frozenset(o.id for o in verified.outcomes if o.outcome is Status.PASSED)
    return ("verified" if verified.within_limits else f"over: {over.why}"), passed


def unpacked(e: Evidence, folder: Path) -> Path | None:
    """The folder that verify.sh and cosign are given; None where there is none."""
    if e.files is None:
        return None
    for name, data in e.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, kind in e.special:
        path = folder / name
        path.unlink(missing_ok=True)
        other = folder / "arf-1.xml"
        if kind == "symlink":
            path.symlink_to(other.name)
        elif kind == "hardlink":
            path.hardlink_to(other)
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
    return folder


def script(key: Path, folder: Path, trusted: Path) -> str:
    """What verify.sh says: the honest one, as an auditor would keep it apart from evidence."""
    return "refuses" if _ends(["sh", trusted, key, folder], folder) else "accepts"


def cosign(program: Path, key: Path, folder: Path, file: str, room: Path) -> str:
    """What cosign says of one file."""
    root = room / "root.json"
    root.write_text(_ROOT)
    argv = [program, "verify-blob-attestation", "--key", key, "--insecure-ignore-tlog"]
    argv += [*_old(program, root), "--type", TYPE, "--bundle", folder / "evidence.sigstore.json"]
    return "refuses" if _ends([*argv, folder / file], folder) else "accepts"


def _old(program: Path, root: Path) -> list[str | Path]:
    told = run([program, "verify-blob-attestation", "--help"], timeout_s=60).stdout
    is_new = any("--new-bundle-format" in x and "default true" in x for x in told.splitlines())
    return [] if is_new else ["--new-bundle-format", "--trusted-root", root]


def _ends(argv: list[Any], folder: Path) -> bool:
    """True when it fails; a verifier that hangs is no verifier."""
    try:
        ended = run(argv, timeout_s=60, ok=(0, 1), cwd=folder)
    except ToolError as e:
        raise AssertionError(f"{argv[0]}: {e}") from e
    return ended.returncode != 0
