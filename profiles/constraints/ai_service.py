"""Constraints on the AI service."""

from collections.abc import Iterator

from hardpan.profiles.constraint_set import ConstraintSet, ProfilePath, Violation
from hardpan.profiles.schema.ai_service import TRIAL_MODEL, AiService
from hardpan.profiles.schema.frameworks import Frameworks
from hardpan.profiles.schema.hardware import Hardware

CONSTRAINTS = ConstraintSet()

_LAYER = "ai_service"
_REQUIRED_LAYER = "ml_frameworks"
_DRIVER_LAYERS = {"nvidia": "nvidia_driver", "amd": "amd_driver"}
_ENGINE_PACKAGES = {"llama_cpp": "llama-cpp-python", "vllm": "vllm"}
"""Engine -> Python package that contains it."""


@CONSTRAINTS.depends_on("layers", "ai_service")
def _check_section(layers: tuple[str, ...], ai_service: AiService | None) -> Iterator[Violation]:
    if _LAYER in layers and ai_service is None:
        yield Violation(
            ("layers", layers.index(_LAYER)),
            f"{_LAYER} needs a section 'ai_service:' with host_name and users, got none",
        )
    elif ai_service is not None and _LAYER not in layers:
        yield Violation(("ai_service",), f"expected {_LAYER} among layers, which uses this section")


@CONSTRAINTS.depends_on("layers")
def _check_order(layers: tuple[str, ...]) -> Iterator[Violation]:
    if _LAYER in layers and _REQUIRED_LAYER not in layers[: layers.index(_LAYER)]:
        yield Violation(
            ("layers", layers.index(_LAYER)),
            f"expected {_REQUIRED_LAYER} before {_LAYER}: it installs the server and the embedding"
            " model",
        )


@CONSTRAINTS.depends_on("layers", "ai_service", "hardware")
def _check_driver(
    layers: tuple[str, ...], ai_service: AiService | None, hardware: Hardware
) -> Iterator[Violation]:
    driver = _DRIVER_LAYERS.get(hardware.accelerator)
    if not driver or ai_service is None or ai_service.server.engine != "vllm":
        return
    if _LAYER in layers and driver not in layers[: layers.index(_LAYER)]:
        yield Violation(
            ("layers", layers.index(_LAYER)),
            f"expected {driver} before {_LAYER}: vllm needs the GPU's device nodes",
        )


@CONSTRAINTS.depends_on("ai_service", "hardware")
def _check_engine(ai_service: AiService | None, hardware: Hardware) -> Iterator[Violation]:
    if ai_service is None:
        return
    path: ProfilePath = ("ai_service", "server")
    server = ai_service.server
    if server.engine != "vllm":
        if server.gpus > 1:
            yield Violation((*path, "gpus"), "expected 1 with llama_cpp, which has no GPU here")
        return
    if hardware.accelerator not in ("nvidia", "amd"):
        yield Violation(
            (*path, "engine"),
            f"expected llama_cpp with 'accelerator: {hardware.accelerator}', vllm needs a GPU",
        )
    if server.model == TRIAL_MODEL:
        yield Violation(
            (*path, "model"),
            f"expected a folder of safetensors below /opt/ai/models with vllm, {TRIAL_MODEL}"
            " is a GGUF file",
        )
    if server.file is not None:
        yield Violation(
            (*path, "file"), "expected none with vllm, which reads every safetensors file there"
        )
    if server.threads:
        yield Violation((*path, "threads"), "expected 0 with vllm, which computes on the GPU")


@CONSTRAINTS.depends_on("ai_service", "frameworks")
def _check_stack(
    ai_service: AiService | None, frameworks: Frameworks | None
) -> Iterator[Violation]:
    if ai_service is None or frameworks is None:
        return
    server = ai_service.server
    package = _ENGINE_PACKAGES[server.engine]
    stack_names = [stack.name for stack in frameworks.stacks if stack.requests_package(package)]
    if server.stack not in stack_names:
        yield Violation(
            ("ai_service", "server", "stack"),
            f"expected a stack of frameworks that lists {package}"
            f" ({', '.join(stack_names) or 'none does'}), got {server.stack!a}",
        )


@CONSTRAINTS.depends_on("ai_service")
def _check_quota(ai_service: AiService | None) -> Iterator[Violation]:
    if ai_service is None:
        return
    if ai_service.document_kib > 1024 * ai_service.quota.text_mib:
        yield Violation(
            ("ai_service", "quota", "text_mib"),
            f"expected space for one document of {ai_service.document_kib} KiB (document_kib),"
            f" got {ai_service.quota.text_mib} MiB",
        )


@CONSTRAINTS.depends_on("ai_service")
def _check_accounts(ai_service: AiService | None) -> Iterator[Violation]:
    if ai_service is None:
        return
    if not (ai_service.users or ai_service.api_keys or ai_service.machine_api_key):
        yield Violation(
            ("ai_service",),
            "expected users, api_keys or machine_api_key: otherwise nobody can log in",
        )
    account_names: set[str] = set()
    for section, names in (
        ("users", [u.name for u in ai_service.users]),
        ("api_keys", [k.name for k in ai_service.api_keys]),
    ):
        for i, name in enumerate(names):
            if name in account_names:
                yield Violation(
                    ("ai_service", section, i, "name"),
                    f"{name!a} is listed twice: names are the owners of documents",
                )
            account_names.add(name)
    if ai_service.machine_api_key and "machine" in account_names:
        yield Violation(("ai_service",), "the name 'machine' is reserved for the machine's API key")
