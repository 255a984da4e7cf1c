"""The repositories section: valid values, and the output of ``render`` for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hardpan.builder import build_manifest
from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile

Write = Callable[[str | bytes], Path]
DIGEST = "ab" * 32
KEY = """\
    key: |
      -----BEGIN PGP PUBLIC KEY BLOCK-----
      Comment: a test key

      mDMEaR8xYxYJKwYBBAHaRw8BAQdA
      =AbCd
      -----END PGP PUBLIC KEY BLOCK-----
"""
HEAD = """\
extends: rocky9-stig-nvidia
name: ours
title: Ours
repositories:
"""
VALID_REPOSITORIES = f"""\
  - id: cuda
    url: https://mirror.example/cuda9/
  - id: site
    url: http://10.0.2.2:8080/BaseOS/
    more_urls: [http://10.0.2.2:8080/AppStream/]
{KEY}    key_sha256: {DIGEST}
  - id: nvidia-container-toolkit
    key_sha256: {DIGEST}
"""

INVALID_ENTRIES = [
    ("url: https:", "url: ftp:", "repositories[0].url: expected an https, http or file address"),
    ("mirror.example", "me:pw@mirror.example", "expected an https, http or file address"),
    ("cuda9/", "../cuda9/", "expected an https, http or file address"),
    ("cuda9/", "cuda9/?x=1", "expected an https, http or file address"),
    ("url: https://mirror.example/cuda9/", "url: file://etc", "expected an https, http or file"),
    ("8080/BaseOS", "65536/BaseOS", "repositories[1].url: expected an https, http or file address"),
    ("8080/BaseOS", "0/BaseOS", "repositories[1].url: expected an https, http or file address"),
    ("url: https://mirror.example/cuda9/", "gpgcheck: false", "gpgcheck: unknown setting"),
    ("id: cuda", "id: amd", "repositories[0].id: expected one of cuda, nvidia-container-toolkit,"),
    ("id: site", "id: cuda", "repositories[1].id: cuda is listed twice"),
    (
        "    url: https://mirror.example/cuda9/\n",
        "",
        "repositories[0]: expected url, key or key_sha",
    ),
    ("    url: http://10.0.2.2:8080/BaseOS/\n", "", "expected url, the first of its addresses"),
    (f"{KEY}    key_sha256: {DIGEST}\n", f"{KEY}", "expected key_sha256 with key"),
    (KEY, "", "expected key with key_sha256: nobody publishes site's key"),
    ("PUBLIC KEY", "PRIVATE KEY", "repositories[1].key: expected one armoured OpenPGP public key"),
    ("=AbCd", "=Ab{{d", "repositories[1].key: expected one armoured OpenPGP public key"),
    (DIGEST, "ab" * 31, "repositories[1].key_sha256: expected a sha256 of 64 lower-case hex"),
]


SITE_KEY = HEAD.replace("title:", "hardware: {nvidia: {module_signing: site_key}}\ntitle:")


def render_repositories(path: Path, layer: str) -> dict[str, dict[str, object]]:
    layer_inputs = next(
        x for x in build_manifest.describe_layers(load_profile(path)) if x["layer"] == layer
    )
    repositories = yaml.safe_load(yaml.safe_dump(layer_inputs))["repositories"]
    return {entry["repository"]: entry for entry in repositories}


def test_render_shows_site_address_and_key(profile_file: Write) -> None:
    repositories = render_repositories(profile_file(SITE_KEY + VALID_REPOSITORIES), "nvidia_driver")

    assert repositories["cuda"]["url"] == "https://mirror.example/cuda9/"
    assert repositories["cuda"]["url_of"] == "the site"
    assert str(repositories["cuda"]["key_sha256"]).startswith("d0664fbb")
    assert repositories["site"]["more_urls"] == ["http://10.0.2.2:8080/AppStream/"]
    assert (repositories["site"]["key"], repositories["site"]["key_sha256"]) == (
        "in the profile",
        DIGEST,
    )
    assert repositories["rocky"]["url"] == "the install media"
    assert repositories["rocky"]["key"] == "/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"


def test_site_key_replaces_vendor_key(profile_file: Write) -> None:
    text = f"  - id: cuda\n{KEY}    key_sha256: {DIGEST}\n"

    repository = render_repositories(profile_file(HEAD + text), "cuda")["cuda"]

    assert str(repository["url"]).startswith("https://developer.download.nvidia.com/")
    assert (repository["key"], repository["key_sha256"]) == ("in the profile", DIGEST)
    assert "key_sha256_of" not in repository


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_ENTRIES)
def test_invalid_repository_reports_location(
    profile_file: Write, was: str, now: str, problem: str
) -> None:
    assert was in VALID_REPOSITORIES

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(HEAD + VALID_REPOSITORIES.replace(was, now, 1)))

    assert problem in str(caught.value)


def test_lab_accepts_no_vendor_repositories(profile_file: Write) -> None:
    head = HEAD.replace("rocky9-stig-nvidia", "lab-stig")

    with pytest.raises(
        InputError, match="expected no repositories section, as in the catalog for lab9"
    ):
        load_profile(profile_file(head + VALID_REPOSITORIES))
