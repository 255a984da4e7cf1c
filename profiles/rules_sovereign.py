"""What the sovereign stack demands of the rest of a profile."""

from collections.abc import Iterator

from profiles.hardware import Hardware
from profiles.rule import Broken, Rules
from profiles.sovereign import Sovereign

RULES = Rules()

_LAYER = "sovereign_stack"
_BEFORE = "ml_frameworks"


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


@RULES.reads("sovereign", "hardware")
def _engine(sovereign: Sovereign | None, hardware: Hardware) -> Iterator[Broken]:
    if sovereign is None:
        return
    if sovereign.server.engine == "vllm" and hardware.accelerator not in ("nvidia", "amd"):
        yield Broken(
            ("sovereign", "server", "engine"),
            f"expected llama_cpp with 'accelerator: {hardware.accelerator}', vllm needs a GPU",
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
