"""The layer ``sovereign_stack``: a whole AI service from one section of the profile.

Everything the machine gets is rendered here, so that it can be read, tested and
compared before a machine is there; the role lays it down and says what changed.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from hardpan.builder.layers import archive, model, tiny_llama
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt
from hardpan.errors import InputError
from hardpan.profiles.frameworks import HOME as STACKS
from hardpan.profiles.model import Profile
from hardpan.profiles.sovereign import Server, Sovereign
from hardpan.resources import resource_path

PORTS = {"llm": 8081, "kb": 8082, "login": 8083, "form": 8084}
"""Where the services listen, on the loopback alone; the login takes its forms on its second."""

_WATCHED = {"ai-llm": "llm", "ai-kb": "kb", "ai-auth": "login"}
"""User -> the port of its own that its watchdog asks."""

_KB_MEMORY_MIB, _KB_BASE_MIB = 2048, 1024

_OURS = resource_path("hardpan.builder.layers", "sovereign")
_HOME = "/usr/libexec/hardpan/sovereign"
_PAGES = "/usr/share/hardpan/chat"
_SETTINGS = "/etc/hardpan/sovereign"
_UNITS = "/usr/lib/systemd/system"
_MODELS = "/opt/ai/models"
_RENDERED = {
    "hardpan-ai.target": _UNITS,
    "hardpan-egress.service": _UNITS,
    "hardpan-first-start.service": _UNITS,
    "hardpan-login.service": _UNITS,
    "hardpan-kb.service": _UNITS,
    "hardpan-llm.service": _UNITS,
    "egress.nft": _SETTINGS,
    "nginx.conf": _SETTINGS,
    "headers.conf": _SETTINGS,
    "proxy-headers.conf": _SETTINGS,
}
_GPU = {
    "hardpan-gpu.service": _UNITS,
    "hardpan-llm-gpu.conf": f"{_UNITS}/hardpan-llm.service.d",
}
"""With an engine that computes on a GPU."""

_NAMED = {"llama_cpp": "llama.cpp", "vllm": "vLLM"}
_PLACED = {
    "nginx.conf.d": "/etc/systemd/system/nginx.service.d/hardpan.conf",
    "hardpan-ai.sysusers": "/usr/lib/sysusers.d/hardpan-ai.conf",
    "hardpan-ai.tmpfiles": "/usr/lib/tmpfiles.d/hardpan-ai.conf",
}
# The distribution's policy says which ciphers; Debian, which the lab is made of, has none.
_CIPHERS = {"lab9": "ECDHE+AESGCM"}
_PROXY_USER = {"lab9": "www-data"}
_LAUNCH = "from sovereign import machine\nimport sys\n\nmachine.main(sys.argv[1:])\n"
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def put(task: Task) -> LayerReceipt:
    """Install the stack; it starts with the machine."""
    to = task.folder / "sovereign.tar"
    archive.write(to, packed(task.profile))
    return task.run(variables(task.profile, to))


def variables(profile: Profile, to: Path) -> dict[str, object]:
    """What the role is given: the archive at ``to``, and whose proxy it is."""
    return {
        "sovereign_stack_archive": str(to),
        "sovereign_stack_proxy_user": proxy_user(profile),
    }


def proxy_user(profile: Profile) -> str:
    """The user that the distribution's nginx runs as."""
    return _PROXY_USER.get(profile.release, "nginx")


def files(profile: Profile) -> Mapping[str, bytes]:
    """Every file that the machine gets, by its path there.

    Raises:
        InputError: the profile has no such section, or one that cannot be built.
    """
    section = profile.sovereign
    if section is None:
        raise InputError(f"{profile.name}: sovereign_stack needs a section 'sovereign:'")
    given = _given(profile, section)
    pages = {f"{_PAGES}/{p.name}": p.read_bytes() for p in sorted((_OURS / "pages").iterdir())}
    pages |= {f"{_PAGES}/outside/{name}": page for name, page in _outside(section).items()}
    rendered = _RENDERED | (_GPU if section.server.engine == "vllm" else {})
    placed = {f"{folder}/{name}": _rendered(name, given) for name, folder in rendered.items()}
    placed |= {path: _rendered(name, given) for name, path in _PLACED.items()}
    placed |= {f"{_SETTINGS}/{name}.json": _json(told) for name, told in _told(section).items()}
    placed |= pages
    placed[f"{_HOME}/__main__.py"] = _LAUNCH.encode()
    placed[f"{_HOME}/certificate.sh"] = (_OURS / "system" / "certificate.sh").read_bytes()
    for path in sorted(_OURS.glob("*.py")):
        placed[f"{_HOME}/sovereign/{path.name}"] = path.read_bytes()
    if section.server.model == tiny_llama.NAME:
        for name, data in tiny_llama.folder().items():
            placed[f"{_MODELS}/{tiny_llama.NAME}/{name}"] = data
    return placed


def packed(profile: Profile) -> Mapping[str, bytes]:
    """What goes over: the files below ``files``, install.sh and the lists it reads.

    Raises:
        InputError: the profile has no such section, or one that cannot be built.
    """
    members = {f"files{path}": data for path, data in files(profile).items()}
    section = profile.sovereign
    assert section is not None  # noqa: S101 - files() refused it
    server = section.server
    models = [f"{_MODELS}/{model.NAME}", server.folder]
    needs = [_python(server), "/etc/hardpan/ai.env", models[0]]
    if server.model != tiny_llama.NAME:
        needs.append(server.weights)
    if server.engine == "vllm":
        needs.append(f"{server.folder}/config.json")
        if profile.hardware.accelerator == "nvidia":
            needs.append("/usr/bin/nvidia-modprobe")
    members["install.sh"] = (_OURS / "system" / "install.sh").read_bytes()
    for name, lines in (("needs", needs), ("models", models), ("ports", PORTS.values())):
        members[name] = "".join(f"{line}\n" for line in lines).encode()
    return dict(sorted(members.items()))


def _outside(section: Sovereign) -> Mapping[str, bytes]:
    """What is shown to who is not logged in."""
    return {
        name: _rendered("login.html", {"host_name": section.host_name, "wrong": wrong})
        for name, wrong in (("login.html", False), ("wrong.html", True))
    }


def _given(profile: Profile, section: Sovereign) -> Mapping[str, object]:
    """What the templates are filled with; every word of it has passed the profile's types."""
    site = section.certificate
    proxy = proxy_user(profile)
    return {
        "home": _HOME,
        "pages": _PAGES,
        "python": _python(section.server),
        "engine": _NAMED[section.server.engine],
        "accelerator": profile.hardware.accelerator,
        "nft": "/usr/sbin/nft",
        "host_name": section.host_name,
        "site_certificate": site is not None,
        "certificate": site.certificate_file if site else "/etc/pki/hardpan/tls.crt",
        "key": site.key_file if site else "/etc/pki/hardpan/tls.key",
        "proxy_user": proxy,
        "ciphers": _CIPHERS.get(profile.release, "PROFILE=SYSTEM"),
        "csp": _policy(script="'self'", style="'self'", connect="'self'", img="'self'"),
        "login_csp": _policy(style=_digest(_outside(section)["login.html"])),
        "login_port": PORTS["login"],
        "form_port": PORTS["form"],
        "llm_port": PORTS["llm"],
        "kb_port": PORTS["kb"],
        "ports": tuple(PORTS.values()),
        # By number and name of the account: what has none cannot be told apart by the kernel.
        "uids": ("ai", "ai-llm", "ai-kb", "ai-auth"),
        "gids": ("ai", "ai-auth"),
        "callers": ("root", proxy),
        "watched": [(uid, PORTS[name]) for uid, name in _WATCHED.items()],
        "model_peers": ("ai", "ai-llm") if _has_peers(profile, section) else (),
        "kb_memory_mib": max(_KB_MEMORY_MIB, _KB_BASE_MIB + section.document_kib // 8),
        "ways": section.egress,
        # The knowledge base's JSON writes a character in up to six.
        "body_most": f"{6 * section.document_kib + 2}k",
    }


def _told(section: Sovereign) -> Mapping[str, object]:
    """What the programs read: no secret, only what cannot be turned back into one."""
    server = section.server
    return {
        "login": {
            "port": PORTS["login"],
            "form_port": PORTS["form"],
            "session_hours": section.session_hours,
            "machine_key": section.machine_api_key,
            "users": [{"name": u.name, "hash": u.password_hash} for u in section.users],
            "keys": [
                {"name": k.name, "sha256": k.sha256, "scopes": list(k.scopes)}
                for k in section.api_keys
            ],
        },
        "knowledge": {
            "port": PORTS["kb"],
            "model": f"{_MODELS}/{model.NAME}",
            "document_most": 1024 * section.document_kib,
            "quota": {
                "documents": section.quota.documents,
                "text_bytes": section.quota.text_mib << 20,
                "pieces": section.quota.pieces,
            },
        },
        "serving": {
            "engine": server.engine,
            "port": PORTS["llm"],
            "folder": server.folder,
            "alias": server.model,
            "context": server.context,
        }
        | (
            {"model": server.folder, "gpus": server.gpus}
            if server.engine == "vllm"
            else {"model": server.weights, "threads": server.threads}
        ),
    }


def _has_peers(profile: Profile, section: Sovereign) -> bool:
    """Whether a model may run as several processes, which meet on the loopback."""
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return section.server.engine == "vllm" or any(stack.asks_for("torch") for stack in stacks)


def _python(server: Server) -> str:
    """The Python of the engine's stack, which all services run on."""
    return f"/{STACKS}/{server.stack}/bin/python3"


def _policy(**sources: str) -> str:
    """A content security policy: what is not named is refused."""
    rules = [f"{kind}-src {source}" for kind, source in {"default": "'none'", **sources}.items()]
    return "; ".join([*rules, "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"])


def _digest(page: bytes) -> str:
    """The style inside the login page, by its digest: the page fetches nothing else."""
    (style,) = _STYLE.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'"


def _rendered(name: str, given: Mapping[str, object]) -> bytes:
    system = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_OURS / "system"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files; odd characters never reach here
    )
    return system.get_template(f"{name}.j2").render(given).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
