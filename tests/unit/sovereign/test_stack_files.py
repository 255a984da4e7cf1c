"""What the machine gets, as text: sandboxes, the proxy, the way out, nothing secret."""

import json
import re
import struct

import pytest

from hardpan.builder.layers import sovereign_stack, tiny_llama
from hardpan.builder.layers.sovereign.serving import llama_cpp
from hardpan.files import sha256_bytes
from hardpan.profiles.frameworks import Frameworks
from hardpan.profiles.model import Profile
from hardpan.profiles.sovereign import Quota, Sovereign

UNITS = "/usr/lib/systemd/system"
SERVICES = ("hardpan-login", "hardpan-kb", "hardpan-llm")


def text(profile: Profile, path: str) -> str:
    return sovereign_stack.files(profile)[path].decode()


def settings(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_sandboxed_counted_and_watched(profile: Profile, name: str) -> None:
    unit = settings(text(profile, f"{UNITS}/{name}.service"))

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


def test_no_unit_waits_for_the_model_to_show_the_login(profile: Profile) -> None:
    proxy = text(profile, "/etc/systemd/system/nginx.service.d/hardpan.conf")

    assert "hardpan-llm" not in proxy
    assert "hardpan-kb" not in proxy


def test_all_services_listen_on_the_loopback_alone(profile: Profile) -> None:
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")
    listening = [x.strip() for x in proxy.splitlines() if x.strip().startswith("listen ")]

    assert listening == ["listen 443 ssl default_server;"]
    assert set(re.findall(r"proxy_pass http://([0-9.]+):", proxy)) == {"127.0.0.1"}
    told = {"port": 8081, "model": "/m/x.gguf", "alias": "x", "context": 512, "threads": 0}
    argv = llama_cpp(told, 4)
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--n_threads") + 1] == "4"
    assert argv[argv.index("--interrupt_requests") + 1] == "false"


def test_every_location_asks_the_gate_or_is_the_gate_or_says_ok(profile: Profile) -> None:
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")
    blocks = re.findall(r"\n        location ([^{]+) \{\n(.*?)\n        \}", proxy, re.DOTALL)
    assert len(blocks) == proxy.count("        location ")
    free = {name for name, body in blocks if "auth_request /_gate;" not in body}

    assert {name for name, _ in blocks} - free == {"/", "/v1/", "/kb/"}
    assert free == {
        "= /healthz",
        "= /_gate",
        "= /session",
        "= /login",
        "= /logout",
        "= /_login",
        "= /_wrong",
        "@key",
        "@down",
    }
    inside = {name for name, body in blocks if "internal;" in body}
    assert inside == {"= /_gate", "= /_login", "= /_wrong"}


def test_the_services_see_no_cookie_and_no_key(profile: Profile) -> None:
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")

    headers = "include /etc/hardpan/sovereign/proxy-headers.conf;"
    blocks = {
        place: proxy.partition(f"location {place} {{")[2].partition("\n        }")[0]
        for place in ("/v1/", "/kb/")
    }
    assert all("proxy_set_header" not in block for block in blocks.values())
    assert headers in proxy.partition("server {")[0]
    # The secret's own line would undo those of http {}.
    assert headers in blocks["/kb/"]
    assert "include" not in blocks["/v1/"], "the model server gets no secret"
    outer = text(profile, "/etc/hardpan/sovereign/proxy-headers.conf")
    assert 'proxy_set_header Cookie "";' in outer
    assert 'proxy_set_header Authorization "";' in outer
    assert "proxy_set_header X-Remote-User $hp_user;" in outer


def test_the_login_page_runs_no_script_and_fetches_nothing(profile: Profile) -> None:
    for name in ("login.html", "wrong.html"):
        page = text(profile, f"/usr/share/hardpan/chat/outside/{name}")
        assert not re.search(r"<script|<link|src=|url\(|@import|style=|\son\w+=", page)


def test_the_chat_page_has_no_script_or_style_inside_and_nothing_from_elsewhere(
    profile: Profile,
) -> None:
    page = text(profile, "/usr/share/hardpan/chat/index.html")
    script = text(profile, "/usr/share/hardpan/chat/app.js")
    style = text(profile, "/usr/share/hardpan/chat/app.css")

    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/)", page)
    assert not re.search(r"https?:", page + script + style)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    policy = text(profile, "/etc/hardpan/sovereign/nginx.conf")
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy


def rules(profile: Profile, chain: str) -> list[str]:
    lines = [x.strip() for x in text(profile, "/etc/hardpan/sovereign/egress.nft").splitlines()]
    start = lines.index(f"chain {chain} {{") + 1
    body = lines[start : lines.index("}", start)]
    return [line for line in body if not line.startswith("#")]


def with_torch(profile: Profile) -> Profile:
    stacks = Frameworks.model_validate(
        {"stacks": [{"name": "serving", "packages": ["torch"], "python": "3.13"}]}
    )
    return profile.model_copy(update={"frameworks": stacks})


def test_what_leaves_is_denied_and_counted_but_for_the_listed_ways(profile: Profile) -> None:
    assert "meta skuid { ai, ai-llm, ai-kb, ai-auth } goto egress" in rules(profile, "output")
    assert rules(profile, "egress") == [
        "ip daddr 10.1.2.0/24 tcp dport 443 accept",
        "ip6 daddr 2001:db8::/64 tcp dport 443 accept",
        'oifname "lo" goto loopback',
        "goto deny",
    ]
    assert rules(profile, "deny") == [
        'limit rate 6/minute log prefix "hardpan-ai denied: " level notice',
        "counter name denied reject with icmpx admin-prohibited",
    ]


def test_service_reaches_its_own_port_on_the_loopback_and_no_other(profile: Profile) -> None:
    assert rules(profile, "loopback") == [
        "tcp flags & (syn | ack) != syn accept",
        "ip daddr 127.0.0.1 tcp dport 8081 meta skuid ai-llm accept",
        "ip daddr 127.0.0.1 tcp dport 8082 meta skuid ai-kb accept",
        "ip daddr 127.0.0.1 tcp dport 8083 meta skuid ai-auth accept",
        "goto deny",
    ]
    (strangers,) = [rule for rule in rules(profile, "output") if "strangers" in rule]
    assert "tcp dport { 8081, 8082, 8083, 8084 } meta skuid != { root, www-data }" in strangers


def test_processes_of_a_model_meet_on_the_loopback_and_nobody_else_joins(profile: Profile) -> None:
    loopback = rules(with_torch(profile), "loopback")
    answer = "tcp flags & (syn | ack) == (syn | ack) tcp sport . tcp dport @peers"
    opening = "ip daddr 127.0.0.1 tcp dport 32768-60999"

    assert [rule for rule in loopback if "peers" in rule] == [
        f"{answer} meta skuid != {{ ai, ai-llm }} goto deny",
        f"{opening} meta skuid {{ ai, ai-llm }} update @peers {{ tcp dport . tcp sport }} accept",
    ]
    assert "tcp sport . tcp dport @peers goto deny" in "".join(rules(with_torch(profile), "output"))
    assert "peers" not in text(profile, "/etc/hardpan/sovereign/egress.nft")


@pytest.mark.parametrize("name", SERVICES)
def test_services_see_no_socket_of_another_service(profile: Profile, name: str) -> None:
    unit = settings(text(profile, f"{UNITS}/{name}.service"))

    assert unit["TemporaryFileSystem"] == ["/run:ro"]
    assert unit["BindPaths"] == ["/run/systemd/notify"], "readiness, and nothing else below /run"
    assert "-/var/lib/sss" in unit["InaccessiblePaths"][0]


def test_proxy_and_knowledge_base_share_a_secret_that_no_file_of_the_image_holds(
    profile: Profile,
) -> None:
    kb = settings(text(profile, f"{UNITS}/hardpan-kb.service"))
    proxy = settings(text(profile, "/etc/systemd/system/nginx.service.d/hardpan.conf"))
    start = settings(text(profile, f"{UNITS}/hardpan-first-start.service"))

    assert kb["LoadCredential"] == ["proxy-secret:/run/hardpan-ai/proxy-secret"]
    assert "proxy-secret.conf:/run/hardpan-ai/proxy-secret.conf" in proxy["LoadCredential"]
    assert "hardpan-first-start.service" in kb["Requires"][0]
    assert (start["RuntimeDirectory"], start["RuntimeDirectoryMode"]) == (["hardpan-ai"], ["0700"])
    for other in ("hardpan-llm", "hardpan-login"):
        assert "LoadCredential" not in settings(text(profile, f"{UNITS}/{other}.service"))
    named = [
        path for path, data in sovereign_stack.files(profile).items() if b"X-Proxy-Sec" in data
    ]
    assert named == ["/usr/libexec/hardpan/sovereign/sovereign/machine.py"]


def test_memory_of_the_knowledge_base_grows_with_the_documents_it_takes(
    profile: Profile, section: Sovereign
) -> None:
    def limit(document_kib: int) -> list[str]:
        changed = section.model_copy(update={"document_kib": document_kib})
        theirs = profile.model_copy(update={"sovereign": changed})
        return settings(text(theirs, f"{UNITS}/hardpan-kb.service"))["MemoryMax"]

    assert limit(1024) == ["2048M"]
    assert limit(16384) == ["3072M"]


def test_share_of_each_user_is_the_profiles(profile: Profile, section: Sovereign) -> None:
    changed = section.model_copy(update={"quota": Quota(documents=7, text_mib=8, pieces=9)})
    theirs = profile.model_copy(update={"sovereign": changed})
    told = json.loads(text(theirs, "/etc/hardpan/sovereign/knowledge.json"))

    assert told["quota"] == {"documents": 7, "text_bytes": 8 << 20, "pieces": 9}


PLAIN = [
    "/",
    "/app.js",
    "/v1/models",
    "/v1/models/granite-4.0_h",
    "/v1/chat/completions",
    "/kb/documents/0123456789abcdef",
    "/kb/documents?x=/../%2e%2e",
    "/kb/",
]
ODD = [
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


def plain_path(profile: Profile) -> re.Pattern[str]:
    """The pattern by which the proxy knows a plain path."""
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")
    (found,) = re.findall(
        r'map \$request_uri \$hp_path_is_plain \{\s+default 0;\s+"~(.*)" 1;', proxy
    )
    return re.compile(found)


@pytest.mark.parametrize("path", PLAIN)
def test_plain_path_is_handed_on(profile: Profile, path: str) -> None:
    assert plain_path(profile).search(path)


@pytest.mark.parametrize("path", ODD)
def test_path_that_could_be_read_in_two_ways_is_refused(profile: Profile, path: str) -> None:
    assert not plain_path(profile).search(path)


def test_services_get_the_path_that_the_proxy_has_matched(profile: Profile) -> None:
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")
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


def test_a_rocky_image_follows_the_distributions_crypto_policy(profile: Profile) -> None:
    rocky = profile.model_copy(update={"release": "rocky9"})

    assert "ssl_ciphers PROFILE=SYSTEM;" in text(rocky, "/etc/hardpan/sovereign/nginx.conf")
    assert "User=nginx\n" in text(rocky, "/etc/systemd/system/nginx.service.d/hardpan.conf")
    assert sovereign_stack.proxy_user(rocky) == "nginx"
    assert sovereign_stack.proxy_user(profile) == "www-data"


def test_a_sites_certificate_is_asked_for_and_none_is_made(
    profile: Profile, section: Sovereign
) -> None:
    there = {"certificate_file": "/etc/pki/tls/certs/ai.pem", "key_file": "/etc/pki/tls/ai.key"}
    changed = Sovereign.model_validate({**section.model_dump(), "certificate": there})
    theirs = profile.model_copy(update={"sovereign": changed})
    start = text(theirs, f"{UNITS}/hardpan-first-start.service")

    assert "certificate.sh /etc/pki/tls/certs/ai.pem /etc/pki/tls/ai.key site" in start
    assert "/etc/pki/hardpan" not in start
    proxy = text(theirs, "/etc/systemd/system/nginx.service.d/hardpan.conf")
    assert "LoadCredential=tls.key:/etc/pki/tls/ai.key" in proxy


def test_the_image_holds_no_key_and_no_password(profile: Profile) -> None:
    placed = sovereign_stack.files(profile)

    assert not [p for p in placed if p.endswith((".key", ".pem", ".crt", "machine.json"))]
    assert not [p for p, data in placed.items() if b"PRIVATE KEY" in data]
    held = json.loads(placed["/etc/hardpan/sovereign/login.json"])
    assert held["users"] == [{"hash": None, "name": "ada"}]


def test_the_same_profile_gives_the_same_bytes(profile: Profile) -> None:
    packed = sovereign_stack.packed(profile)

    assert list(packed.items()) == list(sovereign_stack.packed(profile).items())
    assert packed["needs"].decode().splitlines() == [
        "/opt/ai/stacks/serving/bin/python3",
        "/etc/hardpan/ai.env",
        "/opt/ai/models/all-MiniLM-L6-v2",
    ]
    assert all(n.startswith("files/") or "/" not in n for n in packed)
    assert "files/opt/ai/models/hardpan-tiny-random/model.gguf" in packed


def test_a_sites_model_is_asked_for_and_none_is_made(profile: Profile, section: Sovereign) -> None:
    server = {"model": "granite-4", "file": "q4.gguf"}
    changed = Sovereign.model_validate({**section.model_dump(), "server": server})
    theirs = profile.model_copy(update={"sovereign": changed})

    assert not [p for p in sovereign_stack.files(theirs) if p.endswith(".gguf")]
    assert "/opt/ai/models/granite-4/q4.gguf" in sovereign_stack.packed(theirs)["needs"].decode()


def test_the_trial_model_is_the_same_bytes_everywhere() -> None:
    files = tiny_llama.folder()

    # Made anew on purpose? Then write its digest here.
    assert sha256_bytes(files["model.gguf"]) == DIGEST
    assert files["SHA256SUMS"].decode() == f"{DIGEST}  model.gguf\n"
    lock = json.loads(files["models.lock"])
    assert lock["files"] == {"model.gguf": DIGEST}
    assert "random weights" in lock["source"]
    assert struct.unpack_from("<4sI", files["model.gguf"]) == (b"GGUF", 3)
    assert len(files["model.gguf"]) < 1 << 20


DIGEST = "0737bd35b0305cbbc6774ad47b378df12a0a81086868266bc1b83ba781f190a6"
