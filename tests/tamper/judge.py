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
from hardpan.scanners.evidence.bindings import CMS, HOST_PROOF
from hardpan.scanners.evidence.bundle import PACKAGES, PQ_ENVELOPE, PROVENANCE
from hardpan.scanners.evidence.checks import RefusedError, Status
from hardpan.scanners.evidence.stored import StoredEvidence
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.evidence.verify import Verified, verify, verify_stored
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.signing import read_dsse
from tests.tamper.kit import BUNDLE, Evidence, Workshop, packed

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

    ledger: tuple[str, ...]
    """What hardpan says of a ledger's row with the same statement: ``same``, or as ``hardpan``;
    ``not checked: CHECK`` or ``skipped: CHECK`` where it accepts it without the check that
    refuses the file; ``-`` where no ledger can store it. For many of a kind any of a list."""

    passed: tuple[str, ...]
    """Checks that must have been made, and hold."""

    script: str
    """``accepts``, ``refuses``, or ``-`` where there is no folder to look at."""

    cosign: str

    def all(self, w: Workshop) -> list[Evidence]:
        """What was forged; often one, sometimes many of a kind."""
        made = self.forge(w)
        return made if isinstance(made, list) else [made]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What hardpan says of one forgery."""

    file: str
    """In the form of ``Variant.hardpan``."""

    passed: frozenset[str]
    """The checks of the file that were made, and hold."""

    ledger: str
    """In the form of ``Variant.ledger``, with all words of the reason."""


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
            ledger=_several(expected[name]["ledger"]),
            passed=tuple(expected[name].get("passed", ())),
            script=expected[name]["verify.sh"],
            cosign=expected[name]["cosign"],
        )
        for name, forge in forges.items()
    ]


def _several(expected: str | list[str]) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else tuple(expected)


def hardpan(w: Workshop, e: Evidence) -> Said:
    """What hardpan says of the file, and of a ledger's row that nobody checked before."""
    path = packed(e, w.folder / "case.evidence.zip")
    try:
        trust = w.trust(e.policy)
    except InputError as wrong:
        said = f"policy cannot be used: {wrong}"
        return Said(file=said, passed=frozenset(), ledger="same")
    verdict, outcomes = _verdict(lambda: verify(path, trust, now=e.now))
    return Said(
        file=verdict,
        passed=frozenset(i for i, status in outcomes.items() if status is Status.PASSED),
        ledger=_ledger(e, trust, verdict),
    )


def _ledger(e: Evidence, trust: Trust, of_file: str) -> str:
    stored = stored_row(e.files or {})
    if stored is None:
        return "-"
    verdict, outcomes = _verdict(lambda: verify_stored(stored, trust, now=e.now, label="row 1"))
    if verdict == of_file:
        return "same"
    ended = outcomes.get(of_file.partition(": ")[0])
    accepted = Status.FAILED not in outcomes.values()
    is_open = ended in (Status.NOT_CHECKED, Status.SKIPPED)
    return f"{ended}: {of_file}" if accepted and is_open else verdict


def _verdict(check: Callable[[], Verified]) -> tuple[str, dict[str, Status]]:
    try:
        verified = check()
    except RefusedError as refused:
        failed = next(o for o in refused.outcomes if o.outcome is Status.FAILED)
        return f"{failed.id}: {failed.why}", {o.id: o.outcome for o in refused.outcomes}
    outcomes = {o.id: o.outcome for o in verified.outcomes}
    over = next(o for o in verified.outcomes if o.id == "limits")
    return ("verified" if verified.within_limits else f"over: {over.why}"), outcomes


def stored_row(files: dict[str, bytes]) -> StoredEvidence | None:
    """What a ledger would store of ``files``; None where it has no form for them."""
    proofs = {n: files[n] for n in (CMS, HOST_PROOF, PROVENANCE) if n in files}
    if PQ_ENVELOPE in files:
        proofs[PQ_ENVELOPE] = read_dsse(files[PQ_ENVELOPE], what=PQ_ENVELOPE).signature
    try:
        return StoredEvidence(
            statement=files["statement.json"],
            evidence_bundle=files[BUNDLE],
            findings=Findings.model_validate_json(files["findings.json"]),
            smoke=SmokeDocument.model_validate_json(files["smoke.json"]),
            packages=tuple(files[PACKAGES].decode().split("\n")[:-1]),
            proofs=proofs,
        )
    except (KeyError, ValueError):
        return None


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
