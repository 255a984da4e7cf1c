"""What the machine gets, as text: sandboxes, the proxy, the way out, nothing secret."""

import json
import re
import struct

import pytest

from hardpan.builder.layers import sovereign_stack, tiny_llama
from hardpan.builder.layers.sovereign.serving import llama_cpp
from hardpan.files import sha256_bytes
from hardpan.profiles.model import Profile
from hardpan.profiles.sovereign import Sovereign

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
    free = {name for name, body in blocks if "auth_request /_gate;" not in body}

    assert {name for name, _ in blocks} - free == {"/", "/v1/", "/kb/"}
    assert free == {
        "= /healthz",
        "= /_gate",
        "= /session",
        "~ ^/(login|logout)$",
        "= /_login",
        "= /_wrong",
        "@key",
        "@down",
    }
    inside = {name for name, body in blocks if "internal;" in body}
    assert inside == {"= /_gate", "= /_login", "= /_wrong"}


def test_the_services_see_no_cookie_and_no_key(profile: Profile) -> None:
    proxy = text(profile, "/etc/hardpan/sovereign/nginx.conf")

    for place in ("/v1/", "/kb/"):
        block = proxy.partition(f"location {place} {{")[2].partition("\n        }")[0]
        assert "proxy_set_header" not in block, "it would undo those of http {}"
    outer = proxy.partition("server {")[0]
    assert 'proxy_set_header Cookie "";' in outer
    assert 'proxy_set_header Authorization "";' in outer


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


def test_what_leaves_is_denied_and_counted_but_for_the_listed_ways(profile: Profile) -> None:
    rules = [x.strip() for x in text(profile, "/etc/hardpan/sovereign/egress.nft").splitlines()]
    chain = rules[rules.index("chain egress {") + 1 : -2]

    assert "meta skuid { ai, ai-llm, ai-kb, ai-auth } goto egress" in rules
    assert chain == [
        'oifname "lo" accept',
        "ip daddr 10.1.2.0/24 tcp dport 443 accept",
        "ip6 daddr 2001:db8::/64 tcp dport 443 accept",
        'limit rate 6/minute log prefix "hardpan-ai denied: " level notice',
        "counter name denied reject with icmpx admin-prohibited",
    ]


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
