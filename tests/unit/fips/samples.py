"""A target that reports all FIPS facts, and a list of certificates for it."""

from datetime import date
from typing import Any

from hardpan.scanners.fips.cmvp import CmvpCertificate, CmvpTable, VendorKey
from hardpan.scanners.fips.model import CommandAnswer, FipsAnswers

TODAY = date(2026, 6, 1)
KERNEL = "5.14.0-570.12.1.el9_6.x86_64"
OPENSSL_NEVRA = "openssl-fips-provider-0:3.0.7-27.el9_6ciqfips.0.2.7.x86_64"
BUILD = "openssl-fips-provider-3.0.7-27.el9_6ciqfips.0.2.7"
INSTALLED = (
    f"kernel-core-0:{KERNEL}",
    "kernel-core-0:5.14.0-1.el9.x86_64",
    OPENSSL_NEVRA,
    "openssl-libs-1:3.2.2-6.el9.x86_64",
    "libgcrypt-0:1.10.0-11.el9.x86_64",
    "gnutls-0:3.8.3-6.el9.x86_64",
    "nss-softokn-0:3.112.0-4.el9.x86_64",
)
PROVIDERS = """Providers:
  base
    name: OpenSSL Base Provider
    version: 3.2.2
    status: active
  fips
    name: OpenSSL FIPS Provider
    version: 3.0.7-395c1a240fbfffd8
    status: active
"""
SIGNER = "1a2b3c4d5e6f7081"
SIGNED = f"@signer RSA/SHA256, Thu 05 Feb 2026 10:00:00 AM UTC, Key ID {SIGNER}"


def rpm_verify_output(build: str, *lines: str, signed: str = SIGNED) -> str:
    """What rpm says of a build."""
    return "\n".join((f"@begin {build}", signed, *lines, f"@end {build}"))


CPU = "x86_64\nIntel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz\n"
LISTED = {"arch": "x86_64", "cpu": "Xeon(R) Gold 6230"}
ANSWERS = {
    "flag": "1",
    "cmdline": "root=/dev/mapper/vg0-root ro fips=1 boot=UUID=1",
    "release": 'ID="rocky"\nVERSION_ID="9.6"',
    "kernel": KERNEL,
    "installer": "Command line: BOOT_IMAGE=x inst.ks=hd:LABEL=X fips=1",
    "entries": "entry root=/dev/mapper/vg0-root ro fips=1 boot=UUID=1",
    "initramfs": "bash\nsystemd\nfips\nbase",
    "cpu": CPU,
    "foreign": "end",
    "policy": "FIPS:STIG",
    "policy_check": "",
    "policy_local": "",
    "providers": PROVIDERS,
    "md5": "sha256 0 md5 1",
    "kem": "  { 1.2.840, RSA } @ default",
    "kex_list": "curve25519-sha256\nmlkem768x25519-sha256",
    "kex": "debug1: kex: algorithm: ecdh-sha2-nistp256",
    "verify": rpm_verify_output(BUILD),
    "signers": f"{OPENSSL_NEVRA} RSA/SHA256, Thu 05 Feb 2026, Key ID {SIGNER}",
}


def make_answers(
    *, packages: tuple[str, ...] | None = INSTALLED, **changes: str | CommandAnswer | None
) -> FipsAnswers:
    """The answers, some changed; None takes one away."""
    answers: dict[str, CommandAnswer] = {}
    for name, answer in {**ANSWERS, **changes}.items():
        if answer is not None:
            answers[name] = (
                answer
                if isinstance(answer, CommandAnswer)
                else CommandAnswer(exit_status=0, text=answer)
            )
    return FipsAnswers(answers=answers, packages=packages)


def make_certificate(**changes: Any) -> CmvpCertificate:
    return CmvpCertificate.model_validate(
        {
            "module": "openssl",
            "vendor": "CIQ",
            "certificate": 5116,
            "level": "140-3",
            "status": "active",
            "sunset": date(2031, 1, 5),
            "release": "RLC 9.6 LTS",
            "tag": "ciqfips",
            "builds": (BUILD,),
            "signer": SIGNER,
            "environments": (LISTED,),
            **changes,
        }
    )


def make_table(
    *rows: CmvpCertificate, as_of: date = date(2026, 5, 1), keys: tuple[VendorKey, ...] = ()
) -> CmvpTable:
    return CmvpTable(
        as_of=as_of, source="s", checked="c", certificates=rows or (make_certificate(),), keys=keys
    )
