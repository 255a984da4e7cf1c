"""The checks for every host, on recorded answers of several distributions."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.core import clock
from hardpan.core.errors import UnavailableError
from hardpan.core.events import discard
from hardpan.scanners.collect.base import CollectTask
from hardpan.scanners.collect.check_recorder import CheckRecorder
from hardpan.scanners.collect.checks import queries, test_platform
from hardpan.scanners.collect.preconditions import Query
from tests.unit.fips import samples

EL9 = 'ID="rocky"\nVERSION_ID="9.6"\n'
DEBIAN12 = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
UBUNTU2004 = 'ID=ubuntu\nVERSION_ID="20.04"\n'
SSHD_EL10 = (
    "port 22\nkexalgorithms mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com,"
    "curve25519-sha256\n"
)
SSHD_EL9 = "port 22\nkexalgorithms curve25519-sha256,ecdh-sha2-nistp256\n"
KEX_EL9 = "diffie-hellman-group14-sha256\ncurve25519-sha256\n"
KEX_DEBIAN12 = "curve25519-sha256\nsntrup761x25519-sha512@openssh.com\n"
NO_FILE = (1, "")


class RecordedHost:
    """A target with recorded answers: text, or exit status and text; any other command fails."""

    def __init__(self, answers: dict[Query, str | tuple[int, str]]) -> None:
        self._answers = {q.command_line: a for q, a in answers.items()}

    def run(self, command: str) -> Any:
        answer = self._answers.get(command, (127, ""))
        rc, stdout = (0, answer) if isinstance(answer, str) else answer
        return SimpleNamespace(rc=rc, stdout=stdout)


def outcome_of(
    check: Callable[..., None],
    answers: dict[Query, str | tuple[int, str]],
    *,
    is_required: bool | None = None,
) -> tuple[str, str, str]:
    """Return outcome, message and what was observed."""
    observed: list[str] = []
    options = {} if is_required is None else {"is_required": is_required}
    try:
        check(RecordedHost(answers), observed.append, **options)
    except AssertionError as e:
        return "failed", str(e).partition("\n")[0], "".join(observed)
    except pytest.skip.Exception as e:
        return "skipped", str(e), "".join(observed)
    except UnavailableError as e:
        return "not_checked", f"{e}; {e.hint}", "".join(observed)
    return "passed", "", "".join(observed)


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("release", "outcome", "text"),
    [
        (EL9, "passed", "rocky 9.6: supported until 2032-05-31"),
        (DEBIAN12, "passed", "debian 12: maintenance until 2028-06-30; full support ended on 2026"),
        ('ID=debian\nVERSION_ID="11"\n', "failed", "debian 11: support ended on 2026-08-31"),
        (UBUNTU2004, "failed", "Expanded Security Maintenance (Ubuntu Pro) until 2030-04-02 needs"),
        ('ID=sles\nVERSION_ID="15.7"\n', "passed", "sles 15.7: supported until 2031-07-31"),
        ('ID="ol"\nVERSION_ID="10.0"\n', "not_checked", "ol 10.0 is not in the table"),
        ("ID=arch\n", "not_checked", "ask the vendor, or update hardpan"),
    ],
)
def test_release_is_compared_with_the_lifecycle_table(
    release: str, outcome: str, text: str
) -> None:
    result = outcome_of(test_platform.test_release_is_supported, {queries.OS_RELEASE: release})

    assert result[0] == outcome
    assert text in " ".join(result)


def test_stale_table_calls_no_release_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2027, 9, 1, tzinfo=UTC))
    check = test_platform.test_release_is_supported

    assert outcome_of(check, {queries.OS_RELEASE: EL9})[:2] == (
        "not_checked",
        (
            "the table of end-of-support dates is of 2026-08-22, too old to call a release "
            "supported; update hardpan, and check the clock of this machine"
        ),
    )
    assert outcome_of(check, {queries.OS_RELEASE: UBUNTU2004})[0] == "failed"


@pytest.mark.parametrize(
    ("day", "outcome"),
    [
        (datetime(2026, 10, 1, tzinfo=UTC), "passed"),
        (datetime(2026, 10, 3, tzinfo=UTC), "failed"),
        (datetime(2027, 4, 1, tzinfo=UTC), "failed"),
        (datetime(2027, 4, 2, tzinfo=UTC), "skipped"),
    ],
)
def test_end_of_support_is_announced_180_days_before(
    day: datetime, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: day)
    answers: dict[Query, Any] = {queries.OS_RELEASE: 'ID=ubuntu\nVERSION_ID="22.04"\n'}

    check = test_platform.test_release_support_does_not_end_soon
    assert outcome_of(check, answers)[0] == outcome


FIPS_EL9: dict[Query, str | tuple[int, str]] = {
    queries.FIPS: "1\n",
    queries.CMDLINE: samples.ANSWERS["cmdline"],
    queries.OS_RELEASE: EL9,
    queries.BOOT_ENTRIES: samples.ANSWERS["entries"],
    queries.CRYPTO_POLICY: "FIPS:STIG\n",
    queries.OPENSSL_PROVIDERS: samples.PROVIDERS,
    queries.OPENSSL_MD5: "sha256 0 md5 1\n",
}
FIPS_DEBIAN12: dict[Query, str | tuple[int, str]] = {
    queries.FIPS: "0\n",
    queries.CMDLINE: "root=/dev/vda1 ro",
    queries.OS_RELEASE: DEBIAN12,
    queries.OPENSSL_PROVIDERS: "Providers:\n  default\n    name: OpenSSL Default Provider\n",
    queries.OPENSSL_MD5: "sha256 0 md5 0\n",
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({queries.FIPS: "0\n"}, "kernel: no"),
        ({queries.FIPS: NO_FILE}, "kernel: no"),
        ({queries.BOOT_ENTRIES: "entry root=/dev/vda1 ro"}, "boot entries: no"),
        ({queries.CRYPTO_POLICY: "DEFAULT\n"}, "crypto policy DEFAULT: no"),
        ({queries.CRYPTO_POLICY: (127, "")}, ""),
        ({queries.OPENSSL_MD5: "sha256 0 md5 0\n"}, "OpenSSL provider: no"),
    ],
)
def test_fips_mode_needs_all_its_parts(changes: dict[Query, Any], text: str) -> None:
    check, answers = test_platform.test_fips_mode_is_complete, {**FIPS_EL9, **changes}

    required = outcome_of(check, answers, is_required=True)
    optional = outcome_of(check, answers, is_required=False)

    assert required[0] == ("failed" if text else "passed")
    assert optional[0] == ("skipped" if text else "passed")
    assert text in required[1]
    assert text in optional[1]
    assert required[2] == optional[2] != ""


def test_fips_mode_that_nobody_asks_for_is_not_applicable() -> None:
    check = test_platform.test_fips_mode_is_complete

    assert outcome_of(check, FIPS_DEBIAN12, is_required=False)[:2] == (
        "skipped",
        (
            "the profile does not require it; FIPS mode by part: kernel: no, "
            "boot entries: unknown, crypto policy: unknown, OpenSSL provider: no"
        ),
    )


@pytest.mark.parametrize(
    ("sshd", "kex", "outcome", "observed"),
    [
        (SSHD_EL10, "mlkem768x25519-sha256\n", "passed", "sshd offers mlkem768x25519-sha256, sntr"),
        (SSHD_EL9, KEX_EL9, "failed", "sshd offers none; the SSH client supports none; OpenSSL"),
        (SSHD_EL9, KEX_DEBIAN12, "failed", "supports sntrup761x25519-sha512@openssh.com"),
        ("kexalgorithms sntrup4591761x25519-sha512@tinyssh.org\n", "", "failed", "offers none"),
        ("port 22\n", KEX_EL9, "not_checked", ""),
        ((202, ""), KEX_EL9, "not_checked", ""),
    ],
)
def test_post_quantum_key_exchange_is_that_of_the_server(
    sshd: Any, kex: str, outcome: str, observed: str
) -> None:
    answers = {queries.SSHD: sshd, queries.SSH_KEX: kex, queries.OPENSSL_KEM: ""}
    check = test_platform.test_sshd_offers_post_quantum_key_exchange

    required = outcome_of(check, answers, is_required=True)

    assert required[0] == outcome
    assert observed in required[2]
    optional = outcome_of(check, answers, is_required=False)[0]
    assert optional == ("skipped" if outcome == "failed" else outcome)


@pytest.mark.parametrize(
    ("answer", "outcome", "text"),
    [
        ("   6   0   0   0   1\n", "passed", "Secure Boot: enabled"),
        ("   6   0   0   0   0\n", "failed", "Secure Boot: disabled"),
        ("bios\n", "failed", "not booted in UEFI mode"),
        (
            "unreadable\n",
            "not_checked",
            "the EFI variable SecureBoot cannot be read; mount efivarfs",
        ),
        ((201, ""), "not_checked", "od is not installed ; install coreutils"),
    ],
)
def test_secure_boot_is_read_from_the_efi_variable(answer: Any, outcome: str, text: str) -> None:
    check, answers = test_platform.test_secure_boot_is_enabled, {queries.SECURE_BOOT: answer}

    required = outcome_of(check, answers, is_required=True)

    assert required[0] == outcome
    assert text in " ".join(required)
    optional = outcome_of(check, answers, is_required=False)[0]
    assert optional == ("skipped" if outcome == "failed" else outcome)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("none [integrity] confidentiality\n", "passed"),
        ("none integrity [confidentiality]\n", "passed"),
        ("[none] integrity confidentiality\n", "failed"),
        ("\n", "failed"),
        ((201, ""), "not_checked"),
    ],
)
def test_lockdown_mode_is_in_brackets(answer: Any, outcome: str) -> None:
    check, answers = test_platform.test_kernel_lockdown_is_active, {queries.LOCKDOWN: answer}

    assert outcome_of(check, answers, is_required=True)[0] == outcome
    optional = outcome_of(check, answers, is_required=False)[0]
    assert optional == ("skipped" if outcome == "failed" else outcome)


@pytest.mark.parametrize(
    ("answer", "outcome", "observed"),
    [
        ("sig_enforce Y\nlockdown [none]\ndisabled 0\n", "passed", "module.sig_enforce"),
        ("sig_enforce N\nlockdown none [integrity]\ndisabled 0\n", "passed", "lockdown integrity"),
        ("sig_enforce N\nlockdown\ndisabled 1\n", "passed", "kernel.modules_disabled"),
        ("no-modules\n", "passed", "the kernel has no loadable modules"),
        ("sig_enforce N\nlockdown [none]\ndisabled 0\n", "failed", "nothing"),
        ("sig_enforce\nlockdown\ndisabled\n", "failed", "nothing"),
    ],
)
def test_module_signatures_are_enforced_in_several_ways(
    answer: str, outcome: str, observed: str
) -> None:
    check = test_platform.test_kernel_requires_signed_modules
    result = outcome_of(check, {queries.MODULE_SIGNATURES: answer}, is_required=True)

    assert result[0] == outcome
    assert result[2] == f"unsigned modules are refused by: {observed}".replace(
        "by: lockdown", "by: kernel lockdown"
    )


@pytest.mark.parametrize(
    ("tainted", "outcome", "observed"),
    [
        ("0\n", "passed", "kernel taint 0: neither unsigned nor out-of-tree"),
        ("4096\n", "passed", "kernel taint 4096: out-of-tree"),
        ("12289\n", "failed", "kernel taint 12289: unsigned, out-of-tree"),
    ],
)
def test_tainted_kernel_shows_unsigned_modules(tainted: str, outcome: str, observed: str) -> None:
    check, answers = test_platform.test_no_unsigned_module_was_loaded, {queries.TAINTED: tainted}

    assert outcome_of(check, answers, is_required=True)[::2] == (outcome, observed)


def test_all_queries_of_the_checks_run_in_the_batch() -> None:
    """A query that is not in the batch costs a round trip."""
    commands: list[str] = []

    class Recorder(RecordedHost):
        def run(self, command: str) -> Any:
            commands.append(command)
            return super().run(command)

    answers = {**FIPS_EL9, queries.SSHD: SSHD_EL10, queries.SECURE_BOOT: "bios\n"}
    answers |= {queries.LOCKDOWN: "[none]", queries.MODULE_SIGNATURES: "", queries.TAINTED: "0"}
    for name, check in vars(test_platform).items():
        if name.startswith("test_"):
            takes_required = "is_required" in check.__annotations__
            options = {"is_required": False} if takes_required else {}
            try:
                check(Recorder(answers), lambda _: None, **options)
            except pytest.skip.Exception:
                continue

    assert set(commands) == {q.command_line for q in queries.PLATFORM_QUERIES}


@pytest.mark.parametrize(
    ("required", "outcome", "message"),
    [
        (frozenset(), "skipped", "the profile does not require it; there is no /sys/lockdown"),
        (frozenset({"hardpan-check-kernel-lockdown"}), "not_checked", "there is no /sys/lockdown"),
    ],
)
def test_missing_precondition_counts_for_required_checks_only(
    required: frozenset[str], outcome: str, message: str
) -> None:
    task = CollectTask(required_checks=required)
    recorder = CheckRecorder(cast(Host, None), task, discard, scopes=frozenset({"host"}))
    node_id = "test_platform.py::test_kernel_lockdown_is_active"
    recorder._failures[node_id] = UnavailableError(["there is no /sys/lockdown"], "")
    report = SimpleNamespace(
        nodeid=node_id, when="call", outcome="failed", skipped=False, duration=0.1
    )

    recorder.pytest_runtest_logreport(cast(pytest.TestReport, report))

    (check,) = recorder.checks
    assert check.outcome == outcome
    assert check.message.startswith(message)
