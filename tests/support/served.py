"""A whole server for tests: every role as a process, the demo's Internet around it. Started once per worker."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet

CHEAP = {
    "argon2": {"memory_kib": 64, "iterations": 1, "lanes": 1},
    "metrics": {"listen": "unix:run/courier/metrics.sock"},
}


MASTER_KEYS = ("CRYPTNSEND_MASTER_KEY", "CRYPTNSEND_MASTER_KEY_NEXT")
DECOY = "bWFzdGVyIGtleSB0aGF0IGlzIG5vYm9keSdzIGJ1c2luZXM="  # what they hold where `served` was started


@pytest.fixture(scope="session")
def served_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with the certificate that programs have to trust which talk to `served`."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    _authority().cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running server that tests share: each uses addresses of its own. An authority vouches for it, as in earnest."""
    values = {**CHEAP, "tls": certified(tmp_path_factory.mktemp("tls"))}
    with pytest.MonkeyPatch.context() as patch, Internet() as internet:
        for name in MASTER_KEYS:  # as where the key comes from the environment; it is nobody's but the keeper's
            patch.setenv(name, DECOY)
        with House(internet, values=values) as house:
            patch.undo()
            yield house


def certified(folder: Path, *names: str) -> dict[str, str]:
    """Make a certificate for localhost and *names* that `served_authority` vouches for; return the settings."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued = _authority().issue_cert(
        "localhost", "127.0.0.1", *names, common_name="localhost", key_type=trustme.KeyType.ECDSA
    )
    chain = (*issued.cert_chain_pems, _authority().cert_pem)  # the root too, which `House.context` trusts by it
    certificate.write_bytes(b"".join(each.bytes() for each in chain))
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    return {"certificate": str(certificate), "key": str(key)}


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def own_server() -> Iterator[House]:
    """A running server of this test alone."""
    with Internet() as internet, House(internet, values=CHEAP) as house:
        yield house
