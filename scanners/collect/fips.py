"""Answers of a target about FIPS mode: one script, every answer with its exit status."""

import shlex

from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    Collector,
    CollectTask,
    build_failed_check,
)
from hardpan.scanners.collect.preconditions import RPM_DATABASE_TEST
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import MODULE_PACKAGES, CommandAnswer, FipsAnswers
from hardpan.scanners.fips.non_system_crypto import LIBRARY_PATTERNS, SEARCH_ROOTS
from hardpan.ssh.batch import BatchAnswers, run_batch
from hardpan.ssh.connection import Connection

_QUESTION_TIMEOUT_S = 15
_LONG_TIMEOUT_S = {"initramfs": 20, "foreign": 20, "verify": 120}
"""Questions that read many or large files; an emulated target is slow at it."""

_MAX_TEXT = 32 << 10
_MAX_BYTES = 1 << 20

_NEVRA = "%{NAME}-%|EPOCH?{%{EPOCH}}:{0}|:%{VERSION}-%{RELEASE}.%{ARCH}"
_SIGNATURE = (
    "%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{%|DSAHEADER?{%{DSAHEADER:pgpsig}}:"
    "{%|SIGPGP?{%{SIGPGP:pgpsig}}:{(none)}|}|}|"
)
"""The signature in rpm's query format: of the header by any algorithm, else of the payload."""

_NAMES = " -o ".join(f"-name {shlex.quote(n)}" for n in LIBRARY_PATTERNS)
FIPS_QUESTIONS = {
    "flag": "cat /proc/sys/crypto/fips_enabled",
    "cmdline": "cat /proc/cmdline",
    "release": "cat /etc/os-release || cat /usr/lib/os-release",
    "kernel": "uname -r",
    # What the kickstart appends is for the installed system; only the installer's own
    # command line shows how the installer ran.
    "installer": "grep -hoE '[Cc]ommand line: .*' /var/log/anaconda/syslog "
    "/var/log/anaconda/journal.log /var/log/anaconda/anaconda.log "
    # A hardpan image has only this line: its logs are removed.
    "/usr/lib/hardpan/installer-command-line | head -n 4 | grep .",
    # Unpacking an initramfs takes seconds; initramfs-tools has nothing that needs it.
    "initramfs": "if command -v lsinitrd >/dev/null; "
    'then exec lsinitrd --mod "/boot/initramfs-$(uname -r).img"; fi; '
    "test -d /etc/initramfs-tools || exit 127; echo initramfs-tools; "
    "ls /etc/initramfs-tools/hooks /usr/share/initramfs-tools/hooks || true",
    "entries": "for f in /boot/loader/entries/*.conf; do case $f in *rescue*) continue;; esac; "
    "sed -n 's/^options[[:space:]]\\{1,\\}/entry /p' \"$f\"; done; "
    "sed -n 's/^kernelopts=/kernelopts /p' /boot/grub2/grubenv; true",
    "cpu": "uname -m; sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1",
    "policy": "update-crypto-policies --show",
    "policy_check": "update-crypto-policies --check",
    "policy_local": "command -v update-crypto-policies >/dev/null && "
    "command -v find >/dev/null || exit 127; "
    "{ find /etc/crypto-policies/local.d -type f -name '*.config'; "
    "find /etc/crypto-policies/back-ends -type l ! -lname '/usr/share/crypto-policies/*' "
    "! -lname '/etc/crypto-policies/*'; } | head -n 20",
    "providers": "openssl list -providers",
    "md5": "command -v openssl >/dev/null || exit 127; "
    "openssl dgst -sha256 /dev/null >/dev/null 2>&1; s=$?; "
    'openssl dgst -md5 /dev/null >/dev/null 2>&1; echo "sha256 $s md5 $?"',
    "kem": "openssl list -kem-algorithms",
    "kex_list": "ssh -Q kex",
    # Strict checking against no known key ends after the key exchange, before any login.
    # sudo hides SSH_CONNECTION; then the port comes from sshd's settings.
    "kex": "command -v ssh >/dev/null || exit 127; "
    "port=${SSH_CONNECTION##* }; "
    "[ -n \"$port\" ] || port=$(sshd -T | sed -n 's/^port //p' | head -n 1); "
    "ssh -v -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null "
    '-o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 -p "${port:-22}" 127.0.0.1 true 2>&1 '
    "| grep -F 'kex: algorithm: ' | head -n 1 | grep .",
    # Container images are out of scope of the host's statement.
    "foreign": "find /dev/null -printf '' && xargs -0r true </dev/null && "
    "command -v grep >/dev/null || exit 127; "
    f"find {' '.join(SEARCH_ROOTS)} -xdev "
    r"\( -path /var/lib/containers -o -path /var/lib/docker \) -prune -o -type f "
    rf"\( {_NAMES} \) -printf 'file %p\n' | head -n 200; "
    "find /opt /usr/local /srv /home -xdev -type f -perm /111 -size +1000k ! -name '*.so*' "
    "-print0 | xargs -0r grep -lZaF ' Go buildinf:' | xargs -0r grep -LaF golang-fips/openssl "
    "| head -n 50 | sed 's/^/go /'; "
    # Without root rights the search is not complete.
    '[ "$(id -u)" = 0 ] && echo end',
}
"""Name -> script."""


class FipsFacts(Collector):
    """Collects facts about FIPS mode, its policy, its provider and the SSH key exchange."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect every answer in one round trip; unanswered questions are missing.

        Raises:
            ToolError: the script did not end in time, sent too much, or gave no answer.
            UnreachableError: the connection broke.
        """
        questions = build_questions()
        batch_answers = run_batch(
            connection,
            questions,
            limit_s=lambda name: _LONG_TIMEOUT_S.get(name, _QUESTION_TIMEOUT_S),
            timeout_s=timeout_s,
            max_text=_MAX_TEXT,
            max_bytes=_MAX_BYTES,
        )
        task.answer_log.add_batch(questions, batch_answers)
        if not batch_answers.answers:
            raise ToolError(["the questions about FIPS"], "have no answer that can be read")
        refused = batch_answers.refused.items()
        return CollectedEvidence(
            fips=FipsAnswers(answers=extract_answers(batch_answers)),
            checks=tuple(
                build_failed_check(f"fips[{name}]", ToolError(["the answer"], reason))
                for name, reason in refused
            ),
        )


def build_questions() -> dict[str, str]:
    """Return name -> script. rpm verifies only builds that the CMVP table lists."""
    builds = " ".join(shlex.quote(b) for c in load_table().certificates for b in c.builds)
    verify = (
        f'{RPM_DATABASE_TEST} && [ "$(id -u)" = 0 ] || exit 127; '
        f'for p in {builds}; do rpm -q "$p" >/dev/null 2>&1 || continue; echo "@begin $p"; '
        f"rpm -q --qf '@signer {_SIGNATURE}\\n' \"$p\"; "
        'rpm -V --nodeps --noscripts "$p"; [ $? -le 1 ] && echo "@end $p"; done; true'
    )
    packages = " ".join(name for names in MODULE_PACKAGES.values() for name in names)
    signers = (
        f"{RPM_DATABASE_TEST} || exit 127; rpm -q --qf '{_NEVRA} {_SIGNATURE}\\n' {packages}; true"
    )
    return {**FIPS_QUESTIONS, "signers": signers, "verify": verify}


def extract_answers(batch_answers: BatchAnswers) -> dict[str, CommandAnswer]:
    """Return the answers by name, without refused and missing ones."""
    return {
        name: CommandAnswer(exit_status=a.exit_status, text=a.output)
        for name, a in batch_answers.answers.items()
    }
