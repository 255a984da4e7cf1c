"""Keys, hashes and hardware sections."""

import base64
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic_core import PydanticCustomError

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.public_keys import validate_ssh_key

Write = Callable[[str], Path]


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(f)) + f for f in fields)).decode()


RSA_3072 = blob(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xc5" * 384)
ED25519 = blob(b"ssh-ed25519", b"k" * 32)


@pytest.mark.parametrize("line", [f"ssh-rsa {RSA_3072}", f"ssh-ed25519 {ED25519} me@host"])
def test_valid_public_key_is_unchanged(line: str) -> None:
    assert validate_ssh_key(line) == line


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "expected one public key"),
        (f"ssh-ed25519  {ED25519}", "expected one public key"),
        (f"-ssh-ed25519 {ED25519}", "expected a key of type"),
        (f'command="reboot" ssh-ed25519 {ED25519}', "expected one public key"),
        (f"ssh-ed25519 {ED25519}\nssh-ed25519 {ED25519}", "expected one public key"),
        (f'ssh-ed25519 {ED25519} "x"', "expected one public key"),
        (f"ssh-dss {ED25519}", "expected a key of type"),
        (f"ssh-rsa {ED25519}", "this one holds another"),
        (f"ssh-ed25519 {ED25519[:-5]}", "cut or damaged"),
        (f"ssh-ed25519 {ED25519[:-8]}", "cut or damaged"),
        (f"ssh-rsa {blob(b'ssh-rsa', b'3', b'a' * 128)}", "RSA key of 2048 bits or more"),
    ],
)
def test_invalid_public_key_is_rejected(line: str, problem: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        validate_ssh_key(line)

    assert problem in caught.value.message()


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("$6$saltsaltsalt$" + "a" * 86, True),
        ("$6$rounds=5000$saltsaltsalt$" + "a" * 86, True),
        ("$y$j9T$saltsaltsalt$" + "a" * 43, True),
        ("$1$saltsalt$" + "a" * 22, False),
        ("$5$saltsalt$" + "a" * 43, False),
        ("secret", False),
        ("", False),
    ],
)
def test_only_strong_password_hashes_are_accepted(
    profile_file: Write, good: str, value: str, fine: bool
) -> None:
    path = profile_file(good.replace("sudo: nopasswd", f'sudo: password, password_hash: "{value}"'))

    if fine:
        assert load_profile(path).users[0].password_hash == value
        return
    with pytest.raises(InputError, match=r"users\[0\]\.password_hash: expected a crypt hash"):
        load_profile(path)


NVIDIA = (
    "accelerator: nvidia, nvidia: {branch: '580', driver: 580.178.04, cuda: '13.3'}",
    "layers: [nvidia_driver, cuda, stig]",
)
AMD_SECTION = "{rocm: '7.14', driver: 30.10.1, gfx_target: gfx942, vendor_support: listed}"
AMD = (
    f"accelerator: amd, amd: {AMD_SECTION}",
    "layers: [amd_driver, rocm, stig]",
)
CPU = ("accelerator: cpu, cpu: {baseline: x86-64-v2}", "layers: [ml_cpu, stig]")


@pytest.mark.parametrize(
    ("hardware", "was", "now", "problem"),
    [
        (NVIDIA, "branch: '580'", "branch: 580", "expected text (quote it), got 580"),
        (NVIDIA, "branch: '580'", "branch: '595'", "expected a version of branch 595"),
        (NVIDIA, "580.178.04", "580.10.1", "CUDA 13.3 needs 580.65.06 or later"),
        (NVIDIA, "cuda: '13.3'", "cuda: '9.3'", "expected 12.x or 13.x, got '9.3'"),
        (NVIDIA, "cuda: '13.3'", "cuda: '13'", "expected 12.x or 13.x, got '13'"),
        (
            NVIDIA,
            "branch: '580', driver: 580.178.04",
            "branch: '620', driver: '620.10.01', kernel_module: proprietary",
            "branch 620 and later have no proprietary kernel module",
        ),
        (
            NVIDIA,
            "cuda: '13.3'}",
            "cuda: '13.3', module_signing: secure_boot_off}",
            "expected secure_boot_off_reason",
        ),
        (NVIDIA, "[nvidia_driver, cuda, ", "[cuda, nvidia_driver, ", "before cuda"),
        (NVIDIA, "[nvidia_driver, cuda, ", "[amd_driver, ", "amd_driver needs 'accelerator: amd'"),
        (NVIDIA, "cuda, stig]", "stig, cuda]", "expected stig as the last layer"),
        (NVIDIA, "release: rocky9", "release: lab9", "the lab has no GPU drivers"),
        (AMD, "release: rocky9", "release: rocky10", "AMD lists Rocky for EL9 only"),
        (AMD, "listed}", "unlisted}", "expected unlisted_reason"),
        (AMD, "gfx942", "mi300x", "expected an AMD target as gfx942"),
        (AMD, "accelerator: amd", "accelerator: nvidia", "expected no amd section with"),
        (CPU, "release: rocky9", "release: rocky10", "expected x86-64-v3 or later"),
    ],
)
def test_unsupported_hardware_is_rejected_with_reason(
    profile_file: Write, good: str, hardware: tuple[str, str], was: str, now: str, problem: str
) -> None:
    section, layers = hardware
    valid_text = good.replace("accelerator: none", section).replace("layers: [stig]", layers)
    load_profile(profile_file(valid_text))
    assert was in valid_text

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(valid_text.replace(was, now)))

    assert problem in str(caught.value)


def test_ed25519_key_is_rejected_in_fips_mode(profile_file: Write, good: str) -> None:
    key = f'ssh_keys: ["ssh-ed25519 {ED25519}"], sudo: nopasswd'

    with pytest.raises(InputError, match=r"users\[0\]\.ssh_keys\[0\]: expected a key other than"):
        load_profile(profile_file(good.replace("sudo: nopasswd", key)))
