"""Render the files of the AI service from the profile section ``ai_service``.

Rendering is a pure function of the profile, so that units, proxy configuration and egress rules
can be tested and compared without a machine. The role ``ai_service`` copies the result.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping

from hardpan.builder.ai_models import random_llama
from hardpan.core.errors import InputError
from hardpan.core.resources import resource_path
from hardpan.core.templates import text_environment
from hardpan.profiles import embedding_model
from hardpan.profiles.schema.ai_service import AiService, ModelServer
from hardpan.profiles.schema.frameworks import STACKS_DIR as STACKS
from hardpan.profiles.schema.profile import Profile

PORTS = {"llm": 8081, "kb": 8082, "login": 8083, "form": 8084}
"""Service -> its loopback port; ``form`` is the login's second port, for its forms only."""

_WATCHDOG_PORTS = {"ai-llm": "llm", "ai-kb": "kb", "ai-auth": "login"}
"""User -> the service whose port its watchdog probes."""

_KB_MEMORY_MIB, _KB_BASE_MIB = 2048, 1024

_SOURCES = resource_path("hardpan.builder.ai_service")
_PROGRAM_DIR = "/usr/libexec/hardpan/ai_service"
_PAGES_DIR = "/usr/share/hardpan/chat"
_SETTINGS_DIR = "/etc/hardpan/ai_service"
_UNITS_DIR = "/usr/lib/systemd/system"
_MODELS_DIR = "/opt/ai/models"
_TEMPLATE_DIRS = {
    "hardpan-ai.target": _UNITS_DIR,
    "hardpan-egress.service": _UNITS_DIR,
    "hardpan-first-start.service": _UNITS_DIR,
    "hardpan-login.service": _UNITS_DIR,
    "hardpan-kb.service": _UNITS_DIR,
    "hardpan-llm.service": _UNITS_DIR,
    "egress.nft": _SETTINGS_DIR,
    "nginx.conf": _SETTINGS_DIR,
    "headers.conf": _SETTINGS_DIR,
    "proxy-headers.conf": _SETTINGS_DIR,
}
_GPU_TEMPLATE_DIRS = {
    "hardpan-gpu.service": _UNITS_DIR,
    "hardpan-llm-gpu.conf": f"{_UNITS_DIR}/hardpan-llm.service.d",
}
"""Added for an engine that computes on a GPU."""

_SELINUX_MODULE = "/usr/share/selinux/packages/hardpan-ai.cil"
_ENGINE_NAMES = {"llama_cpp": "llama.cpp", "vllm": "vLLM"}
_TEMPLATE_PATHS = {
    "nginx.conf.d": "/etc/systemd/system/nginx.service.d/hardpan.conf",
    "hardpan-ai.sysusers": "/usr/lib/sysusers.d/hardpan-ai.conf",
    "hardpan-ai.tmpfiles": "/usr/lib/tmpfiles.d/hardpan-ai.conf",
}
# EL's crypto policy selects the ciphers; Debian, which the lab is built from, has no such policy.
_TLS_CIPHERS = {"lab9": "ECDHE+AESGCM", "lab10": "ECDHE+AESGCM"}
_PROXY_USERS = {"lab9": "www-data", "lab10": "www-data"}
_LAUNCHER = "from ai_service import cli\nimport sys\n\ncli.main(sys.argv[1:])\n"
_STYLE_ELEMENT = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def proxy_user(profile: Profile) -> str:
    """Return the user that the distribution's nginx runs as."""
    return _PROXY_USERS.get(profile.release, "nginx")


def has_selinux_module(profile: Profile) -> bool:
    """Whether the services get a domain of their own.

    Only on the lab so far: the module was tested with Debian's policy, and a permission that
    Enterprise Linux's policy names differently would stop the service there.
    """
    return profile.is_lab


def render_files(profile: Profile) -> Mapping[str, bytes]:
    """Render every file of the service, keyed by its path on the target.

    Raises:
        InputError: the profile has no section ``ai_service``.
    """
    section = profile.ai_service
    if section is None:
        raise InputError(f"{profile.name}: ai_service needs a section 'ai_service:'")
    values = _template_values(profile, section)
    pages = {
        f"{_PAGES_DIR}/{p.name}": p.read_bytes() for p in sorted((_SOURCES / "pages").iterdir())
    }
    pages |= {f"{_PAGES_DIR}/login/{name}": page for name, page in _login_pages(section).items()}
    template_dirs = _TEMPLATE_DIRS | (_GPU_TEMPLATE_DIRS if section.server.engine == "vllm" else {})
    contents = {f"{folder}/{name}": _render(name, values) for name, folder in template_dirs.items()}
    contents |= {path: _render(name, values) for name, path in _TEMPLATE_PATHS.items()}
    contents |= {
        f"{_SETTINGS_DIR}/{name}.json": _json(settings)
        for name, settings in _service_settings(section).items()
    }
    if has_selinux_module(profile):
        contents[_SELINUX_MODULE] = (_SOURCES / "system" / "hardpan-ai.cil").read_bytes()
    contents |= pages
    contents[f"{_PROGRAM_DIR}/__main__.py"] = _LAUNCHER.encode()
    contents[f"{_PROGRAM_DIR}/certificate.sh"] = (
        _SOURCES / "system" / "certificate.sh"
    ).read_bytes()
    contents |= {
        f"{_PROGRAM_DIR}/ai_service/{name}": data for name, data in _program_files().items()
    }
    if section.server.model == random_llama.NAME:
        for name, data in random_llama.build_model_files().items():
            contents[f"{_MODELS_DIR}/{random_llama.NAME}/{name}"] = data
    return contents


def _program_files() -> Mapping[str, bytes]:
    """Return the modules of the service's program, the shared tokenizer among them."""
    modules = {p.name: p.read_bytes() for p in sorted((_SOURCES / "payload").glob("*.py"))}
    modules["minilm.py"] = embedding_model.replace_tokenizer_import(
        modules["minilm.py"], b"from .wordpiece import WordPiece\n"
    )
    modules["wordpiece.py"] = embedding_model.read_tokenizer()
    return modules


def archive_members(profile: Profile) -> Mapping[str, bytes]:
    """Return the role's archive: the tree ``files/``, install.sh and the lists it reads.

    Raises:
        InputError: the profile has no section ``ai_service``.
    """
    members = {f"files{path}": data for path, data in render_files(profile).items()}
    section = profile.ai_service
    assert section is not None  # noqa: S101 - render_files() rejects it
    server = section.server
    models = [f"{_MODELS_DIR}/{embedding_model.NAME}", server.folder]
    required_paths = [_python_path(server), "/etc/hardpan/ai.env", models[0]]
    if server.model != random_llama.NAME:
        required_paths.append(server.weights)
    if server.engine == "vllm":
        required_paths.append(f"{server.folder}/config.json")
        if profile.hardware.accelerator == "nvidia":
            required_paths.append("/usr/bin/nvidia-modprobe")
    members["install.sh"] = (_SOURCES / "system" / "install.sh").read_bytes()
    lists = {"required_paths": required_paths, "models": models, "ports": PORTS.values()}
    for name, lines in lists.items():
        members[name] = "".join(f"{line}\n" for line in lines).encode()
    return dict(sorted(members.items()))


def _login_pages(section: AiService) -> Mapping[str, bytes]:
    """Render the login page and the page after a refused login."""
    return {
        name: _render("login.html", {"host_name": section.host_name, "is_refused": is_refused})
        for name, is_refused in (("login.html", False), ("refused.html", True))
    }


def _template_values(profile: Profile, section: AiService) -> Mapping[str, object]:
    """Return the template variables; the profile's types have validated every value."""
    site = section.certificate
    proxy = proxy_user(profile)
    return {
        "home": _PROGRAM_DIR,
        "pages": _PAGES_DIR,
        "has_selinux_module": has_selinux_module(profile),
        "python": _python_path(section.server),
        "engine": _ENGINE_NAMES[section.server.engine],
        "accelerator": profile.hardware.accelerator,
        "nft": "/usr/sbin/nft",
        "host_name": section.host_name,
        "site_certificate": site is not None,
        "certificate": site.certificate_file if site else "/etc/pki/hardpan/tls.crt",
        "key": site.key_file if site else "/etc/pki/hardpan/tls.key",
        "proxy_user": proxy,
        "ciphers": _TLS_CIPHERS.get(profile.release, "PROFILE=SYSTEM"),
        "csp": _content_security_policy(
            script="'self'", style="'self'", connect="'self'", img="'self'"
        ),
        "login_csp": _content_security_policy(
            style=_style_digest(_login_pages(section)["login.html"])
        ),
        "login_port": PORTS["login"],
        "form_port": PORTS["form"],
        "llm_port": PORTS["llm"],
        "kb_port": PORTS["kb"],
        "ports": tuple(PORTS.values()),
        # nftables matches accounts by uid and gid.
        "uids": ("ai", "ai-llm", "ai-kb", "ai-auth"),
        "gids": ("ai", "ai-auth"),
        "callers": ("root", proxy),
        "watchdog_ports": [(uid, PORTS[name]) for uid, name in _WATCHDOG_PORTS.items()],
        "model_peers": ("ai", "ai-llm") if _has_peers(profile, section) else (),
        "kb_memory_mib": max(_KB_MEMORY_MIB, _KB_BASE_MIB + section.document_kib // 8),
        "egress_rules": section.egress,
        # JSON may write one character in six bytes.
        "max_body": f"{6 * section.document_kib + 2}k",
    }


def _service_settings(section: AiService) -> Mapping[str, object]:
    """Return the settings files of the services; they contain hashes, never secrets."""
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
        "knowledge_base": {
            "port": PORTS["kb"],
            "model": f"{_MODELS_DIR}/{embedding_model.NAME}",
            "max_document_bytes": 1024 * section.document_kib,
            "quota": {
                "documents": section.quota.documents,
                "text_bytes": section.quota.text_mib << 20,
                "chunks": section.quota.chunks,
            },
        },
        "model_server": {
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


def _has_peers(profile: Profile, section: AiService) -> bool:
    """Whether the model may run in several processes that connect over the loopback."""
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return section.server.engine == "vllm" or any(
        stack.requests_package("torch") for stack in stacks
    )


def _python_path(server: ModelServer) -> str:
    """Return the interpreter of the engine's Python stack; all services run on it."""
    return f"/{STACKS}/{server.stack}/bin/python3"


def _content_security_policy(**sources: str) -> str:
    """Return a Content-Security-Policy that denies every source not listed."""
    directives = [
        f"{kind}-src {source}" for kind, source in {"default": "'none'", **sources}.items()
    ]
    return "; ".join(
        [*directives, "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    )


def _style_digest(page: bytes) -> str:
    """Return the CSP source for the login page's inline style, its only resource."""
    (style,) = _STYLE_ELEMENT.findall(page)
    return f"'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'"


def _render(name: str, values: Mapping[str, object]) -> bytes:
    environment = text_environment(_SOURCES / "system")
    return environment.get_template(f"{name}.j2").render(values).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
