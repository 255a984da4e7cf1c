"""The whole AI service on a booted lab host: login, chat, documents, failures, no way out."""

import ast
import http.client  # noqa: TID251  a client of the service under test
import ipaddress
import json
import re
import shlex
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from hardpan.builder.artifacts import Assessment, LayerResult
from hardpan.builder.layers import registry as layers
from hardpan.core.errors import ToolError
from hardpan.core.events import discard
from hardpan.core.files import Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.collect import chat
from hardpan.scanners.collect.base import InferenceServer
from hardpan.scanners.collect.smoke import EXPECTED_COSINES
from hardpan.ssh.client import connect
from tests.integration.browser import start_browser
from tests.integration.conftest import CACHE, REPO
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

NO_FIXES = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())
HOST = "ai.example"
PROFILE = """\
extends: lab-stig
name: ai-service-test
title: The whole stack
layers: [ml_frameworks, ai_service]
frameworks:
  stacks:
    - name: serving
      packages: ["llama-cpp-python[server]"]
      lock: ai-serving
      python: "3.13"
      sources:
        - name: llama-cpp-python
          # As the lab's own profile has it: compiled once for both.
          cmake:
            - CMAKE_CXX_FLAGS_RELEASE=-O1
            - GGML_NATIVE=OFF
            - GGML_AVX=OFF
            - GGML_AVX2=OFF
            - GGML_FMA=OFF
            - GGML_F16C=OFF
            - GGML_BMI2=OFF
            - GGML_OPENMP=OFF
            - LLAVA_BUILD=OFF
            - MTMD_BUILD=OFF
ai_service:
  host_name: ai.example
  server: {threads: 1}
  users: [{name: ada}, {name: ben}]
"""
# That module loads PyTorch when it is imported, so its texts are read off its source.
TEXTS = ast.literal_eval(
    re.findall(
        r"^TEXTS = (\[.*?^\])",
        (REPO / "scanners/collect/workload/smoke.py").read_text(),
        re.MULTILINE | re.DOTALL,
    )[0]
)
ONLY = ("ai_service",)
UNITS = ("hardpan-llm", "hardpan-kb", "hardpan-login", "nginx")
PORTS = (8081, 8082, 8083, 8084)
HANDBOOK_TEXT = (
    "# Backups\n\nThe backup of the host runs every night at two and is kept for ninety days.\n\n"
    "# Keys\n\nThe steward keeps the keys of the server room in the safe on the second floor.\n"
)


@dataclass(frozen=True)
class ProxyReply:
    """What the proxy answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class ServiceFixture:
    """A host with the stack on it, seen from another machine."""

    host: LabHost
    profile: Profile
    receipts: tuple[LayerResult, ...]
    key: str
    passwords: Mapping[str, str]

    def tls(self) -> ssl.SSLContext:
        """Trust in this machine's own certificate and nothing else."""
        return ssl.create_default_context(
            cadata=self.host.run("cat /etc/pki/hardpan/tls.crt").stdout
        )

    def send_request(
        self,
        method: str,
        path: str,
        value: object = None,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> ProxyReply:
        connection = _ServiceConnection(self.host.guest.address, self.tls())
        body = value if isinstance(value, str | bytes) else json.dumps(value) if value else None
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return ProxyReply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def log_in(self, name: str) -> Mapping[str, str]:
        """The headers of a person who has logged in."""
        form = urlencode({"name": name, "password": self.passwords[name]})
        origin = {"Origin": f"https://{HOST}"}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.send_request("POST", "/login", form, headers={**origin, **kind})
        assert answer.status == 303
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0], **origin}

    def denied_packets(self) -> int:
        """Packets that the AI services were denied so far."""
        output = self.host.run("nft -j list counter inet hardpan_ai denied").stdout
        return int(json.loads(output)["nftables"][-1]["counter"]["packets"])

    def wait_until_active(self, unit: str) -> None:
        """Wait until a unit is active."""
        self.host.run(f"timeout 60 sh -c 'until systemctl -q is-active {unit}; do sleep .1; done'")


class _ServiceConnection(http.client.HTTPSConnection):  # noqa: TID251
    """A connection to an address, requesting the service's own host name."""

    def __init__(self, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(HOST, context=tls, timeout=60)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        plain = self._create_connection((self._address, 443), self.timeout)  # type: ignore[attr-defined]
        self.sock = self._tls.wrap_socket(plain, server_hostname=HOST)


def apply_layers(profile: Profile, host: LabHost) -> tuple[LayerResult, ...]:
    return layers.apply_layers(profile, host.guest, NO_FIXES, cache=CACHE, emit=discard)


@pytest.fixture(scope="module")
def service(
    lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceFixture]:
    folder = tmp_path_factory.mktemp("ai-service")
    (folder / "ai-service-test.yaml").write_text(PROFILE)
    profile = load_profile(folder / "ai-service-test.yaml")
    with lab_host(lab_payload, folder / "host", install=["nginx", "nftables", "firewalld"]) as host:
        receipts = apply_layers(profile, host)
        assert host.run("ls /root/hardpan-access /etc/pki/hardpan/tls.key", ok=(2,)).stdout == ""
        host.run("systemctl start hardpan-ai.target", timeout_s=120)
        host.run("systemctl is-active " + " ".join(UNITS))
        read = "cat /root/hardpan-access/"
        yield ServiceFixture(
            host=host,
            profile=profile,
            receipts=receipts,
            key=host.run(read + "api-key").stdout.strip(),
            passwords={n: host.run(f"{read}password-{n}").stdout.strip() for n in ("ada", "ben")},
        )


def test_layer_is_idempotent(service: ServiceFixture) -> None:
    (result,) = apply_layers(service.profile.model_copy(update={"layers": ONLY}), service.host)

    assert service.receipts[-1].changed_tasks == 1
    assert result.changed_tasks == 0
    assert "https" in service.host.run("firewall-offline-cmd --list-services").stdout


def test_profile_change_updates_and_removes_files(service: ServiceFixture) -> None:
    section = service.profile.ai_service
    assert section is not None
    shorter = section.model_copy(update={"session_hours": 4})
    old = "/etc/hardpan/ai_service/old"
    service.host.run(f"touch {old}; echo {old} >> /var/lib/hardpan/ai_service.files")

    (result,) = apply_layers(
        service.profile.model_copy(update={"layers": ONLY, "ai_service": shorter}), service.host
    )

    assert result.changed_tasks == 1
    assert service.host.run(f"test -e {old}", ok=(1,)).returncode == 1
    assert service.log_in("ada")
    settings = service.host.run("cat /etc/hardpan/ai_service/login.json").stdout
    assert json.loads(settings)["session_hours"] == 4
    for unit in UNITS:
        service.wait_until_active(unit)


def test_missing_python_stack_is_reported(service: ServiceFixture) -> None:
    service.host.run("mv /opt/ai/stacks/serving /opt/ai/stacks/gone")
    try:
        with pytest.raises(ToolError) as caught:
            apply_layers(service.profile.model_copy(update={"layers": ONLY}), service.host)
    finally:
        service.host.run("mv /opt/ai/stacks/gone /opt/ai/stacks/serving")

    assert (
        "/opt/ai/stacks/serving/bin/python3 is missing: an earlier layer"
        in caught.value.output_tail
    )


def test_systemd_analyze_accepts_units(service: ServiceFixture) -> None:
    units = [f"{u}.service" for u in (*UNITS, "hardpan-egress", "hardpan-first-start")]
    verify = f"systemd-analyze verify --man=no {' '.join(units)} multi-user.target 2>&1"
    output = service.host.run(verify, ok=(0, 1)).stdout
    # multi-user.target takes the stack along: a circle in the order of a start shows here.
    assert [x for x in output.splitlines() if "hardpan" in x or "cycle" in x] == []
    for unit in units:
        report = service.host.run(f"systemd-analyze security --no-pager {unit}").stdout
        match = re.search(r"exposure level for \S+: ([0-9.]+)", report)
        assert match is not None
        assert float(match[1]) < 2.5, report


PATHS = [
    "/",
    "/index.html",
    "/app.js",
    "/login/login.html",
    "/v1/models",
    "/v1/chat/completions",
    "/kb/documents",
    "/kb/search",
    "/session",
    "/login",
    "/nothing/here",
    "/_auth",
    "/_login",
    "/openapi.json",
    "/docs",
    "/extras/tokenize",
]


AMBIGUOUS_PATHS = [
    "/kb/../v1/models",
    "/metrics/../v1/models",
    "/v1/../metrics",
    "/v1/%2e%2e/metrics",
    "/v1/%252e%252e/metrics",
    "/v1%2fmodels",
    "/v1/./models",
    "/v1//models",
    "//v1/models",
    "/v1/;/models",
    "/v1/..\\metrics",
    "/v1/%00models",
    "/healthz/../v1/models",
]


def test_ambiguous_path_is_rejected_even_with_key(service: ServiceFixture) -> None:
    status_by_path = {
        path: service.send_request("GET", path, key=service.key).status for path in AMBIGUOUS_PATHS
    }

    assert status_by_path == dict.fromkeys(AMBIGUOUS_PATHS, 400)
    assert service.send_request("GET", "/v1/models", key=service.key).status == 200
    assert service.send_request("GET", "/kb/documents?x=%2e%2e", key=service.key).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unauthenticated_paths_reveal_nothing(service: ServiceFixture, method: str) -> None:
    for path in PATHS:
        answer = service.send_request(method, path, headers={"Cookie": "__Host-hardpan=guess"})
        # The doors of the login turn a form without the page's origin away; the rest is 401,
        # and 404 for what has no public location.
        assert answer.status in ((400, 401, 403) if path == "/login" else (401, 404)), path
        assert answer.status != 404 or path in ("/_auth", "/_login"), path
        assert b"hardpan-tiny" not in answer.body
    assert service.send_request("GET", "/v1/models", key="hp_" + "x" * 43).status == 401
    health = service.send_request("GET", "/healthz")
    assert (health.status, health.body) == (200, b"ok\n")


def test_responses_have_security_headers(service: ServiceFixture) -> None:
    session = service.log_in("ada")
    for path, headers in (("/", {}), ("/", session), ("/v1/models", {}), ("/healthz", {})):
        response_headers = service.send_request("GET", path, headers=headers).headers
        assert response_headers["Strict-Transport-Security"] == "max-age=31536000"
        assert response_headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response_headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in response_headers
        assert response_headers["Server"] == "nginx"


def test_proxy_requires_tls_1_2_and_host_key(service: ServiceFixture) -> None:
    old_tls = service.tls()
    old_tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old_tls.minimum_version = ssl.TLSVersion.TLSv1_1
        old_tls.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = _ServiceConnection(service.host.guest.address, old_tls)
    with pytest.raises(ssl.SSLError):
        connection.request("GET", "/healthz")
    certificate = service.host.run("openssl x509 -in /etc/pki/hardpan/tls.crt -noout -text").stdout
    assert "DNS:ai.example, DNS:localhost, IP Address:127.0.0.1" in certificate
    assert "ASN1 OID: secp384r1" in certificate
    assert service.host.run("stat -c %U:%a /etc/pki/hardpan/tls.key").stdout == "root:600\n"


def test_user_logs_in_and_chat_response_streams(service: ServiceFixture) -> None:
    denied_before = service.denied_packets()
    ada = service.log_in("ada")
    chat_request = {
        "messages": [{"role": "user", "content": "What is kept?"}],
        "max_tokens": 12,
        "temperature": 0,
    }

    reply = service.send_request("POST", "/v1/chat/completions", chat_request, headers=ada).json()
    streamed = service.send_request(
        "POST", "/v1/chat/completions", {**chat_request, "stream": True}, headers=ada
    )

    events = [x[5:].strip() for x in streamed.body.decode().splitlines() if x.startswith("data:")]
    deltas = [json.loads(e)["choices"][0]["delta"].get("content", "") for e in events[:-1]]
    assert events[-1] == "[DONE]"
    assert len([p for p in deltas if p]) > 5
    assert "".join(deltas) == reply["choices"][0]["message"]["content"]
    assert reply["model"].endswith("hardpan-tiny-random") or "hardpan-tiny-random" in reply["model"]
    assert service.send_request("GET", "/session", headers=ada).json() == {"user": "ada"}
    # A page elsewhere may hold the cookie's browser, never its say.
    elsewhere = {**ada, "Origin": "https://evil.example"}
    assert (
        service.send_request("POST", "/v1/chat/completions", chat_request, headers=elsewhere).status
        == 403
    )
    assert service.denied_packets() == denied_before == 0


def test_scan_chat_test_passes(service: ServiceFixture) -> None:
    server = InferenceServer(
        model="hardpan-tiny-random",
        model_file="/opt/ai/models/hardpan-tiny-random/model.gguf",
        key_file="/root/hardpan-access/api-key",
        cafile="/etc/pki/hardpan/tls.crt",
        engine="llama-cpp-python",
    )
    with connect(service.host.target, timeout_s=30) as connection:
        result = chat.run_chat_test(connection, server, timeout_s=120)

    assert result.verdict == "pass", result.reason


def test_numpy_embedding_matches_reference_cosines(service: ServiceFixture) -> None:
    code = (
        "import sys, json, pathlib; sys.path.insert(0, '/usr/libexec/hardpan/ai_service');"
        "from ai_service.minilm import MiniLM;"
        "m = MiniLM(pathlib.Path('/opt/ai/models/all-MiniLM-L6-v2'));"
        f"v = [m.embed(t) for t in {TEXTS!r}];"
        "n = range(len(v));"
        "print(json.dumps([float(v[a] @ v[b]) for a in n for b in n if a < b]))"
    )
    python = "/opt/ai/stacks/serving/bin/python3"
    cosines = json.loads(service.host.run(f"{python} -I -c {shlex.quote(code)}").stdout)

    assert cosines == pytest.approx(EXPECTED_COSINES, abs=1e-3)


def test_document_survives_restart_and_deletion(service: ServiceFixture) -> None:
    ada, ben = service.log_in("ada"), service.log_in("ben")
    added = service.send_request(
        "POST", "/kb/documents", {"title": "b.md", "text": HANDBOOK_TEXT}, headers=ada
    )
    assert added.status == 201

    def search() -> Any:
        reply = service.send_request(
            "POST",
            "/kb/search",
            {"query": "Who has the server room keys?", "limit": 1},
            key=service.key,
        )
        return reply.json()["hits"]

    deadline = time.monotonic() + 30
    while not search() and time.monotonic() < deadline:
        time.sleep(0.2)
    (best_hit,) = search()
    assert best_hit["title"] == "b.md"
    assert "in the safe on the second floor" in best_hit["text"]
    assert best_hit["score"] > 0.6

    # A host without a kernel of its own cannot reboot; its services can all restart.
    service.host.run("systemctl stop hardpan-ai.target 'hardpan-*.service' nginx.service")
    assert service.host.run("nft list tables").stdout == "table inet firewalld\n"
    service.host.run("systemctl start hardpan-ai.target")
    assert search() == [best_hit]
    assert service.send_request("GET", "/v1/models", headers=ada).status == 401, (
        "sessions end with the gate"
    )

    document = f"/kb/documents/{added.json()['id']}"
    ada, ben = service.log_in("ada"), service.log_in("ben")
    assert service.send_request("DELETE", document, headers=ben).status == 403
    assert service.send_request("DELETE", document, headers=ada).status == 204
    assert search() == []
    assert service.denied_packets() == 0


@pytest.mark.parametrize(
    ("unit", "path"), [("hardpan-llm", "/v1/models"), ("hardpan-kb", "/kb/documents")]
)
def test_killed_service_returns_503_and_recovers(
    service: ServiceFixture, unit: str, path: str
) -> None:
    service.host.run(f"systemctl kill -s KILL {unit}")
    statuses: list[int] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = service.send_request("GET", path, key=service.key)
        statuses.append(answer.status)
        if answer.status == 503:
            assert answer.headers["Retry-After"] == "5"
            assert "try again" in answer.json()["error"]["message"]
        if 503 in statuses and answer.status == 200:
            break
        time.sleep(0.1)

    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200
    assert 503 in statuses
    assert service.send_request("GET", "/healthz").status == 200
    service.wait_until_active(unit)


def test_hanging_service_is_restarted_by_watchdog(service: ServiceFixture) -> None:
    service.host.run(
        "mkdir -p /run/systemd/system/hardpan-kb.service.d; printf"
        " '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/hardpan-kb.service.d/t.conf;"
        " systemctl daemon-reload; systemctl restart hardpan-kb"
    )
    old_pid = service.host.run("systemctl show -P MainPID hardpan-kb").stdout
    service.host.run("systemctl kill -s STOP hardpan-kb")
    restarts = "$(systemctl show -P NRestarts hardpan-kb)"
    service.host.run(f"timeout 40 sh -c 'until [ {restarts} -gt 0 ]; do sleep .2; done'")
    service.wait_until_active("hardpan-kb")
    service.host.run(
        "rm -r /run/systemd/system/hardpan-kb.service.d; systemctl daemon-reload;"
        " systemctl restart hardpan-kb"
    )

    assert service.host.run("systemctl show -P MainPID hardpan-kb").stdout != old_pid


@pytest.mark.parametrize("user", ["ai-llm", "ai-kb", "ai-auth", "ai"])
def test_egress_is_denied_and_counted(service: ServiceFixture, user: str) -> None:
    denied_before = service.denied_packets()
    attempt = (
        "import socket,sys; s=socket.socket(); s.settimeout(3);\n"
        f"try: s.connect(('{_gateway_address(service)}', 9))\n"
        "except OSError as e: print(type(e).__name__, e.errno)"
    )
    as_user = f'runuser -u {user} -- /usr/bin/python3 -c "{attempt}"'
    # 111 is the neighbour's own refusal: root reaches it, the services do not.
    assert (
        "ConnectionRefusedError 111" in service.host.run(f'/usr/bin/python3 -c "{attempt}"').stdout
    )
    assert service.denied_packets() == denied_before
    output = service.host.run(as_user).stdout
    assert "ConnectionRefusedError 111" not in output
    assert service.denied_packets() > denied_before


def test_sandbox_blocks_egress_without_nftables(service: ServiceFixture) -> None:
    service.host.run("nft insert rule inet hardpan_ai egress tcp dport 9 accept")
    argv = (
        "systemd-run -q --wait --pipe --uid=ai-kb -p IPAddressDeny=any -p IPAddressAllow=localhost"
    )
    code = (
        "import socket; s=socket.socket(); s.settimeout(2);\n"
        f"try: s.connect(('{_gateway_address(service)}', 9)); print('out')\n"
        "except OSError as e: print('stopped', e.errno)"
    )
    output = service.host.run(f'{argv} /usr/bin/python3 -c "{code}"').stdout
    service.host.run("systemctl restart hardpan-egress")
    for unit in UNITS:
        service.wait_until_active(unit)

    assert output.startswith("stopped")
    assert "111" not in output


def test_local_user_cannot_bypass_proxy(service: ServiceFixture) -> None:
    for port in PORTS:
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3); print('in')"
        output = service.host.run(f'runuser -u steward -- python3 -c "{code}" 2>&1', ok=(1,)).stdout
        assert "ConnectionRefusedError" in output or "ConnectionResetError" in output
        assert service.host.run(f'python3 -c "{code}"').stdout == "in\n"
    sockets = service.host.run("ss -Hltn").stdout
    assert {x.split()[3] for x in sockets.splitlines() if ":808" in x} == {
        f"127.0.0.1:{port}" for port in PORTS
    }


_CONNECT_PROGRAM = """
import socket, sys
for kind, port in {attempts}:
    with socket.socket(type=kind) as s:
        s.settimeout(3)
        try:
            s.connect(("127.0.0." + ("53" if port == 53 else "1"), port))
            s.send(b"GET /kb/documents HTTP/1.0\\r\\nX-Remote-User: ada\\r\\n\\r\\n")
            s.recv(1)
            print(port, "reached")
        except OSError as e:
            print(port, type(e).__name__)
"""


@pytest.mark.parametrize(
    ("user", "allowed_port"), [("ai-llm", 8081), ("ai-kb", 8082), ("ai-auth", 8083), ("ai", 0)]
)
def test_service_reaches_only_its_port(
    service: ServiceFixture, user: str, allowed_port: int
) -> None:
    """By any port of the loopback it could be somebody else, and by the resolver tell a secret."""
    denied_before = service.denied_packets()
    attempts = [(1, port) for port in (*PORTS, 22, 443, 631)] + [(2, 53), (2, 514), (1, 53)]
    code = _CONNECT_PROGRAM.format(attempts=attempts)
    output = service.host.run(
        f"runuser -u {user} -- /usr/bin/python3 -c {shlex.quote(code)}"
    ).stdout

    reached = [line.split()[0] for line in output.splitlines() if line.endswith("reached")]
    assert len(output.splitlines()) == len(attempts)
    assert reached == ([str(allowed_port)] if allowed_port else [])
    assert service.denied_packets() >= denied_before + len(attempts) - len(reached)
    # What is refused here is there for root.
    assert "8082 reached" in service.host.run(f"/usr/bin/python3 -c {shlex.quote(code)}").stdout


def test_user_header_without_proxy_secret_is_rejected(service: ServiceFixture) -> None:
    code = (
        "import http.client; link = http.client.HTTPConnection('127.0.0.1', 8082, timeout=9);"
        "link.request('GET', '/kb/documents', headers={}); print(link.getresponse().status)"
    )

    def status(**headers: str) -> str:
        header_names = {name.replace("_", "-"): value for name, value in headers.items()}
        output = service.host.run(f"python3 -c {shlex.quote(code.format(header_names))}")
        return output.stdout.strip()

    secret = service.host.run("cat /run/hardpan-ai/proxy-secret").stdout.strip()
    assert status(X_Remote_User="ada") == "403"
    assert status(X_Remote_User="ada", X_Proxy_Secret="guess") == "403"
    assert status(X_Remote_User="ada", X_Proxy_Secret=secret) == "200"
    # A client's own is not the proxy's.
    forged = {"X-Remote-User": "ada", "X-Proxy-Secret": secret}
    assert service.send_request("GET", "/kb/documents", headers=forged).status == 401
    modes = service.host.run("stat -c '%U %a' /run/hardpan-ai /run/hardpan-ai/*").stdout
    assert modes == "root 700\nroot 600\nroot 600\n"
    paths = "/etc /usr/libexec/hardpan /var/lib/ai /var/log /proc/[0-9]*/cmdline"
    search_command = f"grep -rlF -f /run/hardpan-ai/proxy-secret {paths} 2>/dev/null"
    assert service.host.run(search_command, ok=(1, 2)).stdout == ""
    assert secret not in service.host.run("journalctl --no-pager -o cat").stdout


@pytest.mark.parametrize("unit", ["hardpan-llm", "hardpan-kb", "hardpan-login"])
def test_service_has_no_resolver_bus_or_log_socket(service: ServiceFixture, unit: str) -> None:
    pid = service.host.run(f"systemctl show -P MainPID {unit}").stdout.strip()
    inside = f"nsenter -t {pid} -m -- "

    # 'find -type s' takes a socket that is mounted on a file for a file.
    sockets = service.host.run(f"{inside}find /run /dev -exec test -S {{}} ';' -print").stdout
    assert sockets.split() == ["/run/systemd/notify"]
    assert service.host.run(f"{inside}find /var -type s 2>/dev/null", ok=(0, 1)).stdout == ""
    assert service.host.run(inside + "test -e /dev/log", ok=(1,)).returncode == 1
    assert "/run/systemd/journal/" in service.host.run("find /run /dev -type s").stdout


_FLOOD_PROGRAM = """
import http.client, json, ssl, threading, time
tls = ssl._create_unverified_context()
body = "name=ada&password=guess"
head = {"Origin": "https://ai.example", "Host": "ai.example",
        "Content-Type": "application/x-www-form-urlencoded"}
seen, took = [], []
def login(n):
    link = http.client.HTTPSConnection("127.0.0.1", 443, timeout=60, context=tls,
                                       source_address=(f"127.0.{1 + n // 100}.{n % 100 + 2}", 0))
    try:
        link.request("POST", "/login", body, head)
        answer = link.getresponse()
        seen.append((answer.status, answer.getheader("Retry-After")))
    finally:
        link.close()
flood = [threading.Thread(target=login, args=(n,)) for n in range(120)]
for one in flood: one.start()
while any(one.is_alive() for one in flood):
    start = time.monotonic()
    link = http.client.HTTPConnection("127.0.0.1", 8083, timeout=20)
    link.request("GET", "/health")
    assert link.getresponse().status == 200
    link.close()
    took.append(time.monotonic() - start)
    time.sleep(0.02)
took.sort()
print(json.dumps([seen, took[len(took) * 9 // 10], took[-1]]))
"""


def test_login_flood_keeps_sessions_alive(service: ServiceFixture) -> None:
    ben = service.log_in("ben")
    show = "systemctl show -P MainPID -P NRestarts hardpan-login"
    state_before = service.host.run(show).stdout

    replies, p90_s, max_s = json.loads(
        service.host.run(f"/usr/bin/python3 -c {shlex.quote(_FLOOD_PROGRAM)}").stdout
    )

    assert {status for status, _ in replies} == {401, 503}
    assert len(replies) == 120
    assert all(retry for status, retry in replies if status == 503)
    assert p90_s < 0.2
    assert max_s < 1
    assert service.send_request("GET", "/session", headers=ben).json() == {"user": "ben"}
    assert service.host.run(show).stdout == state_before


def test_password_guessing_is_rate_limited(service: ServiceFixture) -> None:
    form = urlencode({"name": "ada", "password": "guess"})
    headers = {
        "Origin": f"https://{HOST}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    statuses = [
        service.send_request("POST", "/login", form, headers=headers).status for _ in range(14)
    ]

    assert statuses[0] in (401, 429)
    assert statuses[-1] == 429
    # The next test logs in again.
    service.host.run("systemctl restart nginx")


def test_chat_page_works_in_browser(service: ServiceFixture, tmp_path: Path) -> None:
    digest = service.host.run(
        "openssl x509 -in /etc/pki/hardpan/tls.crt -noout -pubkey | openssl pkey -pubin"
        " -outform der | openssl dgst -sha256 -binary | base64"
    ).stdout.strip()
    handbook = tmp_path / "handbook.md"
    handbook.write_text(HANDBOOK_TEXT)
    denied = service.denied_packets()
    address = service.host.guest.address
    with start_browser(
        tmp_path / "chromium", host=HOST, address=address, key_digest=digest
    ) as page:
        page.open_url(f"https://{HOST}/")
        page.type_text("#name", "ada")
        page.type_text("#password", "wrong")
        page.press("Enter")
        page.wait_until("document.querySelector('[role=alert]')")
        page.type_text("#name", "ada")
        page.type_text("#password", service.passwords["ada"])
        page.press("Enter")
        page.wait_until("document.getElementById('model')?.textContent.startsWith('hardpan-tiny')")
        refused = page.list_errors()
        page.choose_files("#file", handbook)
        page.wait_until("document.querySelectorAll('#documents strong').length === 1")
        page.wait_until("!document.querySelector('progress')")
        page.type_text("#question", "Where are the keys of the server room?")
        page.press("Enter")
        page.wait_until(
            "document.querySelector('#stop').hidden && document.querySelector('.source')"
        )
        answer = page.evaluate("document.querySelector('.turn:not(.mine) .text').textContent")
        source = page.evaluate("document.querySelector('.source').textContent")
        page.take_screenshot(tmp_path / "chat.png")
        # A document is text, whatever is in it.
        handbook.write_text("# <img src=x onerror=alert(1)>\n\n<script>alert(2)</script> room keys")
        page.choose_files("#file", handbook)
        page.wait_until("document.querySelector('#shelf-status').textContent.includes('was added')")
        page.evaluate("document.querySelector('#documents button').click()")
        page.wait_until("document.querySelector('#documents').textContent === 'None yet.'")
        assert page.evaluate("document.images.length") == 1
        page.evaluate("document.querySelector('form[action=\"/logout\"] button').click()")
        page.wait_until("document.querySelector('#name')")

        assert len(answer.split()) > 20
        assert "in the safe on the second floor" in source
        assert page.requested_origins() == {f"https://{HOST}"}
        # The 401 of the first page and of the wrong password, and nothing of a policy.
        assert refused
        assert [
            message for message in [*refused, *page.list_errors()] if "401" not in message
        ] == []
    assert service.denied_packets() == denied


def test_site_can_add_keys_and_change_passwords(service: ServiceFixture) -> None:
    command = "/opt/ai/stacks/serving/bin/python3 -I /usr/libexec/hardpan/ai_service"
    key = service.host.run(f"{command} new-key batch documents").stdout.strip()

    assert service.send_request("GET", "/kb/documents", key=key).status == 200
    assert service.send_request("GET", "/v1/models", key=key).status == 403
    assert key not in service.host.run("cat /etc/hardpan/ai_service/*.json").stdout

    ben = service.log_in("ben")
    typed = "printf 'a new password\\na new password\\n'"
    service.host.run(f"{typed} | {command} change-password ben 2>&1")
    assert service.send_request("GET", "/session", headers=ben).status == 401


def _gateway_address(service: ServiceFixture) -> str:
    """This machine, as the host sees it."""
    return str(ipaddress.ip_address(service.host.guest.address) - 1)
