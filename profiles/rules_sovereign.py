"""What the sovereign stack demands of the rest of a profile."""

from collections.abc import Iterator

from hardpan.profiles.frameworks import Frameworks
from hardpan.profiles.hardware import Hardware
from hardpan.profiles.rule import Broken, Path, Rules
from hardpan.profiles.sovereign import TRIAL_MODEL, Sovereign

RULES = Rules()

_LAYER = "sovereign_stack"
_BEFORE = "ml_frameworks"
_DRIVERS = {"nvidia": "nvidia_driver", "amd": "amd_driver"}
_PACKAGE = {"llama_cpp": "llama-cpp-python", "vllm": "vllm"}
"""Engine -> the Python package that holds it."""


@RULES.reads("layers", "sovereign")
def _section(layers: tuple[str, ...], sovereign: Sovereign | None) -> Iterator[Broken]:
    if _LAYER in layers and sovereign is None:
        yield Broken(
            ("layers", layers.index(_LAYER)),
            f"{_LAYER} needs a section 'sovereign:' with host_name and users, found none",
        )
    elif sovereign is not None and _LAYER not in layers:
        yield Broken(("sovereign",), f"expected {_LAYER} among layers, nothing else reads this")


@RULES.reads("layers")
def _order(layers: tuple[str, ...]) -> Iterator[Broken]:
    if _LAYER in layers and _BEFORE not in layers[: layers.index(_LAYER)]:
        yield Broken(
            ("layers", layers.index(_LAYER)),
            f"expected {_BEFORE} before {_LAYER}: it brings the server and the embedding model",
        )


@RULES.reads("layers", "sovereign", "hardware")
def _driver(
    layers: tuple[str, ...], sovereign: Sovereign | None, hardware: Hardware
) -> Iterator[Broken]:
    driver = _DRIVERS.get(hardware.accelerator)
    if not driver or sovereign is None or sovereign.server.engine != "vllm":
        return
    if _LAYER in layers and driver not in layers[: layers.index(_LAYER)]:
        yield Broken(
            ("layers", layers.index(_LAYER)),
            f"expected {driver} before {_LAYER}: vllm needs the GPU's device nodes",
        )


@RULES.reads("sovereign", "hardware")
def _engine(sovereign: Sovereign | None, hardware: Hardware) -> Iterator[Broken]:
    if sovereign is None:
        return
    here: Path = ("sovereign", "server")
    server = sovereign.server
    if server.engine != "vllm":
        if server.gpus > 1:
            yield Broken((*here, "gpus"), "expected 1 with llama_cpp, which has no GPU here")
        return
    if hardware.accelerator not in ("nvidia", "amd"):
        yield Broken(
            (*here, "engine"),
            f"expected llama_cpp with 'accelerator: {hardware.accelerator}', vllm needs a GPU",
        )
    if server.model == TRIAL_MODEL:
        yield Broken(
            (*here, "model"),
            f"expected a folder of safetensors below /opt/ai/models with vllm, {TRIAL_MODEL}"
            " is a GGUF file",
        )
    if server.file is not None:
        yield Broken(
            (*here, "file"), "expected none with vllm, which reads every safetensors file there"
        )
    if server.threads:
        yield Broken((*here, "threads"), "expected 0 with vllm, which computes on the GPU")


@RULES.reads("sovereign", "frameworks")
def _stack(sovereign: Sovereign | None, frameworks: Frameworks | None) -> Iterator[Broken]:
    if sovereign is None or frameworks is None:
        return
    server = sovereign.server
    wanted = _PACKAGE[server.engine]
    holding = [stack.name for stack in frameworks.stacks if stack.asks_for(wanted)]
    if server.stack not in holding:
        yield Broken(
            ("sovereign", "server", "stack"),
            f"expected a stack of frameworks that asks for {wanted}"
            f" ({', '.join(holding) or 'none does'}), found {server.stack!a}",
        )


@RULES.reads("sovereign")
def _share(sovereign: Sovereign | None) -> Iterator[Broken]:
    if sovereign is None:
        return
    if sovereign.document_kib > 1024 * sovereign.quota.text_mib:
        yield Broken(
            ("sovereign", "quota", "text_mib"),
            f"expected room for one document of {sovereign.document_kib} KiB (document_kib),"
            f" found {sovereign.quota.text_mib} MiB",
        )


@RULES.reads("sovereign")
def _somebody(sovereign: Sovereign | None) -> Iterator[Broken]:
    if sovereign is None:
        return
    if not (sovereign.users or sovereign.api_keys or sovereign.machine_api_key):
        yield Broken(
            ("sovereign",), "expected users, api_keys or machine_api_key, or nobody can get in"
        )
    seen: set[str] = set()
    for section, names in (
        ("users", [u.name for u in sovereign.users]),
        ("api_keys", [k.name for k in sovereign.api_keys]),
    ):
        for i, name in enumerate(names):
            if name in seen:
                yield Broken(
                    ("sovereign", section, i, "name"),
                    f"{name!a} is there twice: documents belong to a name",
                )
            seen.add(name)
    if sovereign.machine_api_key and "machine" in seen:
        yield Broken(("sovereign",), "the name 'machine' belongs to the machine's own API key")
