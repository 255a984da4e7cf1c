"""The section of the sovereign stack: what it takes, and every way it says no."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile

Write = Callable[[str | bytes], Path]

SALT = base64.b64encode(b"s" * 16).decode().rstrip("=")
HASH = base64.b64encode(b"h" * 64).decode().rstrip("=")
PASSWORD_HASH = f"$pbkdf2-sha512$210000${SALT}${HASH}"

STACKS = """\
frameworks:
  stacks: [{name: serving, packages: ["llama-cpp-python[server]"], python: "3.13"}]
"""
SECTION = f"""\
ai_service:
  host_name: ai.example
  server: {{model: hardpan-tiny-random, context: 2048}}
  users:
    - {{name: ada, password_hash: "{PASSWORD_HASH}"}}
    - {{name: ben}}
  api_keys:
    - {{name: batch, sha256: {"ab" * 32}, scopes: [chat, documents]}}
  egress:
    - {{address: 10.1.2.0/24, port: 443, reason: The site's mirror.}}
"""


def with_stack(good: str) -> str:
    """A good profile, with the layer and its section."""
    return (
        good.replace("accelerator: none", "accelerator: cpu")
        .replace("release: rocky9", "release: lab9")
        .replace("layers: [stig]", "layers: [ml_frameworks, ai_service, stig]")
        + STACKS
        + SECTION
    )


def test_complete_section_is_parsed(profile_file: Write, good: str) -> None:
    section = load_profile(profile_file(with_stack(good))).ai_service

    assert section.users[0].password_hash == PASSWORD_HASH
    assert section.users[1].password_hash is None
    assert section.api_keys[0].scopes == ("chat", "documents")
    assert section.machine_api_key
    assert section.certificate is None


INVALID_VALUES = [
    (PASSWORD_HASH, "hunter2", "password_hash: expected a hash, never a password"),
    (
        PASSWORD_HASH,
        "$6$rounds=100000$abcdefgh$" + "x" * 86,
        "expected $pbkdf2-sha512$ROUNDS$SALT$HASH",
    ),
    (
        PASSWORD_HASH,
        PASSWORD_HASH.replace("210000", "1000"),
        "expected 210000 rounds or more, got 1000",
    ),
    (
        PASSWORD_HASH,
        PASSWORD_HASH.replace("210000", "10000001"),
        "expected 10000000 rounds or less",
    ),
    (
        PASSWORD_HASH,
        PASSWORD_HASH.replace(SALT, SALT[:8]),
        "expected a salt of 16 bytes or more and a hash of 64",
    ),
    (
        PASSWORD_HASH,
        PASSWORD_HASH[:-1],
        "expected a complete hash, this one is truncated or damaged",
    ),
    ("ab" * 32, "my-real-key", "expected the sha256 of the key as 64 lower-case hex digits"),
    ("name: ada", "name: Ada", "expected a login name of a-z"),
    ("name: ada", "name: ben", "ai_service.users[1].name: 'ben' is listed twice"),
    ("name: batch", "name: ada", "api_keys[0].name: 'ada' is listed twice"),
    ("name: batch", "name: machine", "the name 'machine' is reserved for the machine's API key"),
    ("host_name: ai.example", "host_name: 'ai example'", "expected a host name of lower-case"),
    ("host_name: ai.example", "telemetry: true", "ai_service.telemetry: unknown setting"),
    ("10.1.2.0/24", "mirror.example", "expected an address or network as 10.1.2.3"),
    ("10.1.2.0/24", "10.1.2.3/24", "expected an address or network as 10.1.2.3"),
    ("10.1.2.0/24", "0.0.0.0/0", "expected a network of /8 or smaller"),
    ("port: 443", "port: 70000", "expected 65535 or less, got 70000"),
    ("model: hardpan-tiny-random", "model: ../x", "the name of a folder below /opt/ai/models"),
    ("context: 2048", "context: 10", "expected 256 or more, got 10"),
    ("context: 2048", "engine: vllm", "expected llama_cpp with 'accelerator: cpu'"),
    ("context: 2048", "gpus: 2", "server.gpus: expected 1 with llama_cpp, which has no GPU here"),
    (
        "context: 2048",
        "stack: other",
        "expected a stack of frameworks that lists llama-cpp-python (serving), got 'other'",
    ),
    ("context: 2048", "engine: ollama", "expected llama_cpp or vllm, got 'ollama'"),
    ("context: 2048}", "context: 2048}\n  quota: {documents: 0}", "quota.documents: expected 1 or"),
    (
        "context: 2048}",
        "context: 2048}\n  document_kib: 2048\n  quota: {text_mib: 1}",
        "quota.text_mib: expected space for one document of 2048 KiB (document_kib), got 1 MiB",
    ),
    ("scopes: [chat, documents]", "scopes: []", "scopes: expected at least one entry"),
    ("ml_frameworks, ai_s", "ml_cpu, ai_s", "expected ml_frameworks before ai_service"),
    (
        "[ml_frameworks, ai_service, stig]",
        "[ml_frameworks, stig]",
        "ai_service: expected ai_service among layers",
    ),
    (SECTION, "", "ai_service needs a section 'ai_service:'"),
    (
        SECTION,
        "ai_service: {host_name: a.example, machine_api_key: false}",
        "expected users, api_keys or machine_api_key: otherwise nobody can log in",
    ),
]


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_VALUES)
def test_invalid_value_reports_location(
    profile_file: Write, good: str, was: str, now: str, problem: str
) -> None:
    text = with_stack(good)
    assert was in text

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(text.replace(was, now, 1)))

    assert problem in str(caught.value)


GPU_PROFILE = """\
extends: rocky9-stig-nvidia
name: ours
title: A model server on GPUs
ai_service:
  host_name: ai.example
  server: {engine: vllm, stack: vllm, model: granite-4, context: 8192, gpus: 2}
layers: [nvidia_driver, cuda, ml_frameworks, ai_service, stig]
"""


def test_vllm_server_is_parsed(profile_file: Write) -> None:
    server = load_profile(profile_file(GPU_PROFILE)).ai_service.server

    assert (server.engine, server.stack, server.gpus) == ("vllm", "vllm", 2)
    assert server.folder == "/opt/ai/models/granite-4"
    assert server.weights == "/opt/ai/models/granite-4/SHA256SUMS"


INVALID_GPU_VALUES = [
    ("stack: vllm, ", "", "lists vllm (vllm), got 'serving'"),
    ("stack: vllm", "stack: pytorch", "lists vllm (vllm), got 'pytorch'"),
    ("model: granite-4, ", "", "expected a folder of safetensors below /opt/ai/models with vllm"),
    ("gpus: 2", "file: q4.gguf", "server.file: expected none with vllm, which reads every"),
    ("gpus: 2", "threads: 4", "server.threads: expected 0 with vllm"),
    ("gpus: 2", "gpus: 17", "expected 16 or less, got 17"),
    ("gpus: 2", "gpus: 0", "expected 1 or more, got 0"),
    (
        "layers: [nvidia_driver, cuda, ml_frameworks, ai_service",
        "layers: [ml_frameworks, ai_service, nvidia_driver, cuda",
        "expected nvidia_driver before ai_service: vllm needs the GPU's device nodes",
    ),
]


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_GPU_VALUES)
def test_invalid_vllm_settings_are_rejected(
    profile_file: Write, was: str, now: str, problem: str
) -> None:
    assert was in GPU_PROFILE

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(GPU_PROFILE.replace(was, now, 1)))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("was", "secret"), [(PASSWORD_HASH, "hunter2"), ("ab" * 32, "my-real-key")]
)
def test_possible_secret_is_not_in_message(
    profile_file: Write, good: str, was: str, secret: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_profile(profile_file(with_stack(good).replace(was, secret)))

    assert secret not in str(caught.value)
