"""Load the tamper cases and run each verifier on them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import yaml

from hardpan.core.errors import InputError, ToolError
from hardpan.core.process import run
from hardpan.scanners.evidence.file_names import (
    CMS,
    HOST_SIGNATURE,
    PACKAGES,
    PQ_ENVELOPE,
    PROVENANCE,
)
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.verify.stored import StoredEvidence
from hardpan.scanners.evidence.verify.verification_log import (
    CheckStatus,
    VerificationError,
)
from hardpan.scanners.evidence.verify.verifier import (
    VerifiedEvidence,
    verify,
    verify_stored,
)
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.signing import read_dsse
from tests.tamper.kit import BUNDLE, Evidence, TamperKit, pack

CASES_DIR = Path(__file__).parent
PREDICATE_TYPE = "https://hardpan.dev/attestation/compliance-scan/v1"
_EMPTY_TRUSTED_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'

Forge = Callable[[TamperKit], Evidence | list[Evidence]]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A forgery, or the control that must pass."""

    case: str
    name: str
    forge: Forge
    hardpan: str
    """``verified``, or the failing check with a part of its reason, or ``exceeded: …``."""

    ledger: tuple[str, ...]
    """The result for a ledger row with the same statement: ``same``, or in the form of
    ``hardpan``; ``not checked: CHECK`` or ``skipped: CHECK`` if the row is accepted without the
    check that rejects the file; ``-`` if no ledger can store it. A list for a variant with many
    files: each result is one of them."""

    passed: tuple[str, ...]
    """Checks that must be reported as passed."""

    script: str
    """``accepts``, ``refuses``, or ``-`` if there is no folder to verify."""

    cosign: str

    def forge_all(self, kit: TamperKit) -> list[Evidence]:
        """Return the forged evidence: one or several files."""
        forged = self.forge(kit)
        return forged if isinstance(forged, list) else [forged]


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """The results of hardpan for one forgery."""

    file: str
    """The result for the file, in the form of ``Variant.hardpan``."""

    passed: frozenset[str]
    """The checks of the file that passed."""

    ledger: str
    """The result for the row, in the form of ``Variant.ledger``, with the complete reason."""


def folders() -> list[Path]:
    """Return the folders of the cases."""
    return sorted(p for p in CASES_DIR.iterdir() if p.is_dir() and p.name[:2].isdigit())


def variants() -> list[Variant]:
    """Return every variant of every case."""
    return [v for folder in folders() for v in _load_case(folder)]


def _load_case(folder: Path) -> list[Variant]:
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
            ledger=_as_tuple(expected[name]["ledger"]),
            passed=tuple(expected[name].get("passed", ())),
            script=expected[name]["verify.sh"],
            cosign=expected[name]["cosign"],
        )
        for name, forge in forges.items()
    ]


def _as_tuple(expected: str | list[str]) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else tuple(expected)


def verify_with_hardpan(kit: TamperKit, e: Evidence) -> Verdicts:
    """Verify the file, and a ledger row with its statement that was written without a check."""
    path = pack(e, kit.folder / "case.evidence.zip")
    try:
        trust = kit.load_policy(e.policy)
    except InputError as error:
        problem = f"policy cannot be used: {error}"
        return Verdicts(file=problem, passed=frozenset(), ledger="same")
    verdict, outcomes = _run_verifier(lambda: verify(path, trust, now=e.now))
    return Verdicts(
        file=verdict,
        passed=frozenset(i for i, status in outcomes.items() if status is CheckStatus.PASSED),
        ledger=_verify_ledger_row(e, trust, verdict),
    )


def _verify_ledger_row(e: Evidence, trust: ResolvedPolicy, file_verdict: str) -> str:
    stored = build_stored_row(e.files or {})
    if stored is None:
        return "-"
    verdict, outcomes = _run_verifier(
        lambda: verify_stored(stored, trust, now=e.now, label="row 1")
    )
    if verdict == file_verdict:
        return "same"
    status = outcomes.get(file_verdict.partition(": ")[0])
    accepted = CheckStatus.FAILED not in outcomes.values()
    is_undecided = status in (CheckStatus.NOT_CHECKED, CheckStatus.SKIPPED)
    return f"{status}: {file_verdict}" if accepted and is_undecided else verdict


def _run_verifier(check: Callable[[], VerifiedEvidence]) -> tuple[str, dict[str, CheckStatus]]:
    try:
        verified = check()
    except VerificationError as error:
        failed = next(o for o in error.records if o.status is CheckStatus.FAILED)
        return f"{failed.check_id}: {failed.reason}", {o.check_id: o.status for o in error.records}
    outcomes = {o.check_id: o.status for o in verified.records}
    thresholds = next(o for o in verified.records if o.check_id == "thresholds")
    return (
        "verified" if verified.is_within_thresholds else f"exceeded: {thresholds.reason}"
    ), outcomes


def build_stored_row(files: dict[str, bytes]) -> StoredEvidence | None:
    """Return what a ledger would store of ``files``; None if it cannot store them."""
    signature_files = {n: files[n] for n in (CMS, HOST_SIGNATURE, PROVENANCE) if n in files}
    if PQ_ENVELOPE in files:
        signature_files[PQ_ENVELOPE] = read_dsse(files[PQ_ENVELOPE], label=PQ_ENVELOPE).signature
    try:
        return StoredEvidence(
            statement=files["statement.json"],
            evidence_bundle=files[BUNDLE],
            findings=Findings.model_validate_json(files["findings.json"]),
            smoke=SmokeDocument.model_validate_json(files["smoke.json"]),
            packages=tuple(files[PACKAGES].decode().split("\n")[:-1]),
            signature_files=signature_files,
        )
    except (KeyError, ValueError):
        return None


def unpack(e: Evidence, folder: Path) -> Path | None:
    """Unpack the evidence for verify.sh and cosign; None if there are no files to unpack."""
    if e.files is None:
        return None
    for name, data in e.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, file_type in e.special:
        path = folder / name
        path.unlink(missing_ok=True)
        link_target = folder / "arf-1.xml"
        if file_type == "symlink":
            path.symlink_to(link_target.name)
        elif file_type == "hardlink":
            path.hardlink_to(link_target)
        elif file_type == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
    return folder


def verify_with_script(key: Path, folder: Path, trusted: Path) -> str:
    """Run the ``trusted`` verify.sh, which an auditor stores separately from the evidence."""
    return "refuses" if _has_failed(["sh", trusted, key, folder], folder) else "accepts"


def verify_with_cosign(program: Path, key: Path, folder: Path, file: str, temp_dir: Path) -> str:
    """Verify one file with cosign."""
    root = temp_dir / "root.json"
    root.write_text(_EMPTY_TRUSTED_ROOT)
    argv = [program, "verify-blob-attestation", "--key", key, "--insecure-ignore-tlog"]
    argv += [
        *_build_format_args(program, root),
        "--type",
        PREDICATE_TYPE,
        "--bundle",
        folder / "evidence.sigstore.json",
    ]
    return "refuses" if _has_failed([*argv, folder / file], folder) else "accepts"


def _build_format_args(program: Path, root: Path) -> list[str | Path]:
    help_text = run([program, "verify-blob-attestation", "--help"], timeout_s=60).stdout
    is_default = any(
        "--new-bundle-format" in x and "default true" in x for x in help_text.splitlines()
    )
    return [] if is_default else ["--new-bundle-format", "--trusted-root", root]


def _has_failed(argv: list[Any], folder: Path) -> bool:
    """Return whether the verifier rejects; one that hangs or crashes fails the test."""
    try:
        completed = run(argv, timeout_s=60, ok=(0, 1), cwd=folder)
    except ToolError as e:
        raise AssertionError(f"{argv[0]}: {e}") from e
    return completed.returncode != 0
