"""What the machine gets, as text: sandboxes, the proxy, the way out, nothing secret."""

import json
import re
import struct

import pytest

from hardpan.builder.ai_models import random_llama
from hardpan.builder.ai_service import render
from hardpan.builder.ai_service.payload.serving import llama_cpp_arguments
from hardpan.core.files import sha256_bytes
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ai_service import AiService, QuotaSettings
from hardpan.profiles.schema.frameworks import Frameworks
from hardpan.profiles.schema.profile import Profile

UNITS = "/usr/lib/systemd/system"
SERVICES = ("hardpan-login", "hardpan-kb", "hardpan-llm")


_FILES_BY_PROFILE: dict[str, dict[str, bytes]] = {}
"""Rendering builds a model: each profile, as JSON, is rendered once."""


def rendered_text(profile: Profile, path: str) -> str:
    key = profile.model_dump_json()
    if key not in _FILES_BY_PROFILE:
        _FILES_BY_PROFILE[key] = render.render_files(profile)
    return _FILES_BY_PROFILE[key][path].decode()


def unit_settings(unit: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_sandboxed_and_supervised(profile: Profile, name: str) -> None:
    unit = unit_settings(rendered_text(profile, f"{UNITS}/{name}.service"))

    for setting in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "MemoryDenyWriteExecute"):
        assert unit[setting] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["User"][0].startswith("ai-")
    assert unit["IPAddressDeny"] == ["any"]
    assert unit["IPAddressAllow"] == ["localhost 10.1.2.0/24 2001:db8::/64"]
    assert "DO_NOT_TRACK=1" in " ".join(unit["Environment"])
    assert unit["Restart"] == ["always"]
    assert int(unit["StartLimitBurst"][0]) > 0
    assert int(unit["WatchdogSec"][0]) > 0
    assert "hardpan-egress.service" in unit["Requires"][0]


@pytest.mark.parametrize("name", SERVICES)
def test_services_run_in_the_domain_of_the_selinux_module(profile: Profile, name: str) -> None:
    module = rendered_text(profile, "/usr/share/selinux/packages/hardpan-ai.cil")
    (context,) = unit_settings(rendered_text(profile, f"{UNITS}/{name}.service"))["SELinuxContext"]

    # Without the hyphen, a host without the module could not start the service.
    assert context == "-system_u:system_r:hardpan_ai_t:s0"
    assert "(typeattributeset domain (hardpan_ai_t))" in module
    assert "(process2 (nnp_transition nosuid_transition))" in module  # NoNewPrivileges=


def test_enterprise_linux_gets_no_untested_selinux_module(section: AiService) -> None:
    """A name that its policy lacks would stop the service."""
    rocky = load_profile("rocky9-stig-cpu").model_copy(update={"ai_service": section})
    files = render.render_files(rocky)

    assert "/usr/share/selinux/packages/hardpan-ai.cil" not in files
    assert b"SELinuxContext" not in files[f"{UNITS}/hardpan-kb.service"]


def test_proxy_does_not_depend_on_model_server(profile: Profile) -> None:
    proxy = rendered_text(profile, "/etc/systemd/system/nginx.service.d/hardpan.conf")

    assert "hardpan-llm" not in proxy
    assert "hardpan-kb" not in proxy


def test_services_listen_on_loopback_only(profile: Profile) -> None:
    proxy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")
    listening = [x.strip() for x in proxy.splitlines() if x.strip().startswith("listen ")]

    assert listening == ["listen 443 ssl default_server;"]
    assert set(re.findall(r"proxy_pass http://([0-9.]+):", proxy)) == {"127.0.0.1"}
    settings = {"port": 8081, "model": "/m/x.gguf", "alias": "x", "context": 512, "threads": 0}
    argv = llama_cpp_arguments(settings, 4)
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--n_threads") + 1] == "4"
    assert argv[argv.index("--interrupt_requests") + 1] == "false"


def test_nginx_every_location_requires_authentication(profile: Profile) -> None:
    proxy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")
    blocks = re.findall(r"\n        location ([^{]+) \{\n(.*?)\n        \}", proxy, re.DOTALL)
    assert len(blocks) == proxy.count("        location ")
    unauthenticated = {name for name, body in blocks if "auth_request /_auth;" not in body}

    assert {name for name, _ in blocks} - unauthenticated == {"/", "/v1/", "/kb/"}
    assert unauthenticated == {
        "= /healthz",
        "= /_auth",
        "= /session",
        "= /login",
        "= /logout",
        "= /_login",
        "= /_refused",
        "@unauthorized",
        "@unavailable",
    }
    internal = {name for name, body in blocks if "internal;" in body}
    assert internal == {"= /_auth", "= /_login", "= /_refused"}


def test_proxy_strips_cookies_and_keys(profile: Profile) -> None:
    proxy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")

    headers = "include /etc/hardpan/ai_service/proxy-headers.conf;"
    blocks = {
        path: proxy.partition(f"location {path} {{")[2].partition("\n        }")[0]
        for path in ("/v1/", "/kb/")
    }
    assert all("proxy_set_header" not in block for block in blocks.values())
    assert headers in proxy.partition("server {")[0]
    # The secret's own line would undo those of http {}.
    assert headers in blocks["/kb/"]
    assert "include" not in blocks["/v1/"], "the model server gets no secret"
    proxy_headers = rendered_text(profile, "/etc/hardpan/ai_service/proxy-headers.conf")
    assert 'proxy_set_header Cookie "";' in proxy_headers
    assert 'proxy_set_header Authorization "";' in proxy_headers
    assert "proxy_set_header X-Remote-User $hp_user;" in proxy_headers


def test_login_page_has_no_script_or_external_resource(profile: Profile) -> None:
    for name in ("login.html", "refused.html"):
        page = rendered_text(profile, f"/usr/share/hardpan/chat/login/{name}")
        assert not re.search(r"<script|<link|src=|url\(|@import|style=|\son\w+=", page)


def test_chat_page_has_no_inline_or_external_code(
    profile: Profile,
) -> None:
    page = rendered_text(profile, "/usr/share/hardpan/chat/index.html")
    script = rendered_text(profile, "/usr/share/hardpan/chat/app.js")
    style = rendered_text(profile, "/usr/share/hardpan/chat/app.css")

    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/)", page)
    assert not re.search(r"https?:", page + script + style)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    policy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy


def chain_rules(profile: Profile, chain: str) -> list[str]:
    lines = [
        x.strip() for x in rendered_text(profile, "/etc/hardpan/ai_service/egress.nft").splitlines()
    ]
    start = lines.index(f"chain {chain} {{") + 1
    body = lines[start : lines.index("}", start)]
    return [line for line in body if not line.startswith("#")]


def with_torch_stack(profile: Profile) -> Profile:
    stacks = Frameworks.model_validate(
        {"stacks": [{"name": "serving", "packages": ["torch"], "python": "3.13"}]}
    )
    return profile.model_copy(update={"frameworks": stacks})


def test_egress_is_denied_and_counted_except_listed_rules(profile: Profile) -> None:
    assert "meta skuid { ai, ai-llm, ai-kb, ai-auth } goto egress" in chain_rules(profile, "output")
    assert chain_rules(profile, "egress") == [
        "ip daddr 10.1.2.0/24 tcp dport 443 accept",
        "ip6 daddr 2001:db8::/64 tcp dport 443 accept",
        'oifname "lo" goto loopback',
        "goto deny",
    ]
    assert chain_rules(profile, "deny") == [
        'limit rate 6/minute log prefix "hardpan-ai denied: " level notice',
        "counter name denied reject with icmpx admin-prohibited",
    ]


def test_service_reaches_only_its_loopback_port(profile: Profile) -> None:
    assert chain_rules(profile, "loopback") == [
        "tcp flags & (syn | ack) != syn accept",
        "ip daddr 127.0.0.1 tcp dport 8081 meta skuid ai-llm accept",
        "ip daddr 127.0.0.1 tcp dport 8082 meta skuid ai-kb accept",
        "ip daddr 127.0.0.1 tcp dport 8083 meta skuid ai-auth accept",
        "goto deny",
    ]
    (bypass_rule,) = [rule for rule in chain_rules(profile, "output") if "bypassed" in rule]
    assert "tcp dport { 8081, 8082, 8083, 8084 } meta skuid != { root, www-data }" in bypass_rule


def test_model_processes_connect_on_loopback_exclusively(profile: Profile) -> None:
    loopback = chain_rules(with_torch_stack(profile), "loopback")
    answer = "tcp flags & (syn | ack) == (syn | ack) tcp sport . tcp dport @peers"
    opening = "ip daddr 127.0.0.1 tcp dport 32768-60999"

    assert [rule for rule in loopback if "peers" in rule] == [
        f"{answer} meta skuid != {{ ai, ai-llm }} goto deny",
        f"{opening} meta skuid {{ ai, ai-llm }} update @peers {{ tcp dport . tcp sport }} accept",
    ]
    assert "tcp sport . tcp dport @peers goto deny" in "".join(
        chain_rules(with_torch_stack(profile), "output")
    )
    assert "peers" not in rendered_text(profile, "/etc/hardpan/ai_service/egress.nft")


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_private_run_directory(profile: Profile, name: str) -> None:
    unit = unit_settings(rendered_text(profile, f"{UNITS}/{name}.service"))

    assert unit["TemporaryFileSystem"] == ["/run:ro"]
    assert unit["BindPaths"] == ["/run/systemd/notify"], "readiness, and nothing else below /run"
    assert "-/var/lib/sss" in unit["InaccessiblePaths"][0]


def test_proxy_secret_is_not_in_image(
    profile: Profile,
) -> None:
    kb = unit_settings(rendered_text(profile, f"{UNITS}/hardpan-kb.service"))
    proxy = unit_settings(
        rendered_text(profile, "/etc/systemd/system/nginx.service.d/hardpan.conf")
    )
    start = unit_settings(rendered_text(profile, f"{UNITS}/hardpan-first-start.service"))

    assert kb["LoadCredential"] == ["proxy-secret:/run/hardpan-ai/proxy-secret"]
    assert "proxy-secret.conf:/run/hardpan-ai/proxy-secret.conf" in proxy["LoadCredential"]
    assert "hardpan-first-start.service" in kb["Requires"][0]
    assert (start["RuntimeDirectory"], start["RuntimeDirectoryMode"]) == (["hardpan-ai"], ["0700"])
    for other in ("hardpan-llm", "hardpan-login"):
        assert "LoadCredential" not in unit_settings(
            rendered_text(profile, f"{UNITS}/{other}.service")
        )
    paths = [path for path, data in render.render_files(profile).items() if b"X-Proxy-Sec" in data]
    assert paths == ["/usr/libexec/hardpan/ai_service/ai_service/cli.py"]


def test_knowledge_base_memory_limit_scales_with_document_size(
    profile: Profile, section: AiService
) -> None:
    def limit(document_kib: int) -> list[str]:
        changed_section = section.model_copy(update={"document_kib": document_kib})
        changed_profile = profile.model_copy(update={"ai_service": changed_section})
        return unit_settings(rendered_text(changed_profile, f"{UNITS}/hardpan-kb.service"))[
            "MemoryMax"
        ]

    assert limit(1024) == ["2048M"]
    assert limit(16384) == ["3072M"]


def test_user_quota_comes_from_profile(profile: Profile, section: AiService) -> None:
    changed_section = section.model_copy(
        update={"quota": QuotaSettings(documents=7, text_mib=8, chunks=9)}
    )
    changed_profile = profile.model_copy(update={"ai_service": changed_section})
    settings = json.loads(
        rendered_text(changed_profile, "/etc/hardpan/ai_service/knowledge_base.json")
    )

    assert settings["quota"] == {"documents": 7, "text_bytes": 8 << 20, "chunks": 9}


PLAIN_PATHS = [
    "/",
    "/app.js",
    "/v1/models",
    "/v1/models/granite-4.0_h",
    "/v1/chat/completions",
    "/kb/documents/0123456789abcdef",
    "/kb/documents?x=/../%2e%2e",
    "/kb/",
]
AMBIGUOUS_PATHS = [
    "/kb/../v1/models",
    "/metrics/../v1/x",
    "/v1/../metrics",
    "/v1/%2e%2e/metrics",
    "/v1/%2E./metrics",
    "/v1/.%2e/metrics",
    "/v1/..%2fmetrics",
    "/v1%2fmodels",
    "/v1/%252e%252e/metrics",
    "/v1/..;/metrics",
    "/v1/;/metrics",
    "/v1/./models",
    "/v1/.",
    "/v1/..",
    "/v1/..?x",
    "/.hidden",
    "//v1/models",
    "/v1//models",
    "/v1/models//",
    "/v1/..\\metrics",
    "/v1\\..\\metrics",
    "/v1/%00",
    "/v1/a\x00b",
    "/v1/a%0d%0ab",
    "/v1/caf\xe9",
    "/v1/a b",
    "/v1/x:y",
    "/v1/a#b",
    "/kb/~ada",
    "v1/models",
    "http://elsewhere/v1/models",
    "*",
    "",
]


def plain_path_pattern(profile: Profile) -> re.Pattern[str]:
    """The pattern by which the proxy knows a plain path."""
    proxy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")
    (pattern,) = re.findall(
        r'map \$request_uri \$hp_path_is_plain \{\s+default 0;\s+"~(.*)" 1;', proxy
    )
    return re.compile(pattern)


@pytest.mark.parametrize("path", PLAIN_PATHS)
def test_plain_path_is_forwarded(profile: Profile, path: str) -> None:
    assert plain_path_pattern(profile).search(path)


@pytest.mark.parametrize("path", AMBIGUOUS_PATHS)
def test_ambiguous_path_is_rejected(profile: Profile, path: str) -> None:
    assert not plain_path_pattern(profile).search(path)


def test_proxy_forwards_normalized_path(profile: Profile) -> None:
    proxy = rendered_text(profile, "/etc/hardpan/ai_service/nginx.conf")
    server = proxy.partition("    server {")[2]

    # With a path of its own, proxy_pass never hands on what the client wrote.
    assert re.findall(r"proxy_pass http://127.0.0.1:(\S+);", proxy) == [
        "8083/check",
        "8083/session",
        "8084/login",
        "8084/logout",
        "8081/v1/",
        "8082/kb/",
    ]
    assert server.index("if ($hp_path_is_plain = 0) {") < server.index("location ")


def test_rocky_uses_system_crypto_policy(profile: Profile) -> None:
    rocky = profile.model_copy(update={"release": "rocky9"})

    assert "ssl_ciphers PROFILE=SYSTEM;" in rendered_text(
        rocky, "/etc/hardpan/ai_service/nginx.conf"
    )
    assert "User=nginx\n" in rendered_text(
        rocky, "/etc/systemd/system/nginx.service.d/hardpan.conf"
    )
    assert render.proxy_user(rocky) == "nginx"
    assert render.proxy_user(profile) == "www-data"


def test_site_certificate_replaces_generated_certificate(
    profile: Profile, section: AiService
) -> None:
    certificate = {
        "certificate_file": "/etc/pki/tls/certs/ai.pem",
        "key_file": "/etc/pki/tls/ai.key",
    }
    changed_section = AiService.model_validate({**section.model_dump(), "certificate": certificate})
    changed_profile = profile.model_copy(update={"ai_service": changed_section})
    start = rendered_text(changed_profile, f"{UNITS}/hardpan-first-start.service")

    assert "certificate.sh /etc/pki/tls/certs/ai.pem /etc/pki/tls/ai.key site" in start
    assert "/etc/pki/hardpan" not in start
    proxy = rendered_text(changed_profile, "/etc/systemd/system/nginx.service.d/hardpan.conf")
    assert "LoadCredential=tls.key:/etc/pki/tls/ai.key" in proxy


def test_image_has_no_key_or_password(profile: Profile) -> None:
    contents = render.render_files(profile)

    assert not [p for p in contents if p.endswith((".key", ".pem", ".crt", "machine.json"))]
    assert not [p for p, data in contents.items() if b"PRIVATE KEY" in data]
    login_settings = json.loads(contents["/etc/hardpan/ai_service/login.json"])
    assert login_settings["users"] == [{"hash": None, "name": "ada"}]


def test_archive_members_are_reproducible(profile: Profile) -> None:
    members = render.archive_members(profile)

    assert list(members.items()) == list(render.archive_members(profile).items())
    assert members["required_paths"].decode().splitlines() == [
        "/opt/ai/stacks/serving/bin/python3",
        "/etc/hardpan/ai.env",
        "/opt/ai/models/all-MiniLM-L6-v2",
    ]
    assert all(n.startswith("files/") or "/" not in n for n in members)
    assert "files/opt/ai/models/hardpan-tiny-random/model.gguf" in members


def test_site_model_is_required_and_not_generated(profile: Profile, section: AiService) -> None:
    server = {"model": "granite-4", "file": "q4.gguf"}
    changed_section = AiService.model_validate({**section.model_dump(), "server": server})
    changed_profile = profile.model_copy(update={"ai_service": changed_section})

    assert not [p for p in render.render_files(changed_profile) if p.endswith(".gguf")]
    assert (
        "/opt/ai/models/granite-4/q4.gguf"
        in render.archive_members(changed_profile)["required_paths"].decode()
    )


def test_random_llama_model_is_reproducible() -> None:
    files = random_llama.build_model_files()

    # After an intended change of the model, write its new digest here.
    assert sha256_bytes(files["model.gguf"]) == DIGEST
    assert files["SHA256SUMS"].decode() == f"{DIGEST}  model.gguf\n"
    lock = json.loads(files["models.lock"])
    assert lock["files"] == {"model.gguf": DIGEST}
    assert "random weights" in lock["source"]
    assert struct.unpack_from("<4sI", files["model.gguf"]) == (b"GGUF", 3)
    assert len(files["model.gguf"]) < 1 << 20


DIGEST = "0737bd35b0305cbbc6774ad47b378df12a0a81086868266bc1b83ba781f190a6"
