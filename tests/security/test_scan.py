"""What a scanner of other people says of the ports that speak TLS. `make scan` has another, for the pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cryptnsend.demo.house import House as Server

from .scan import tls

SSLYZE = Path(sys.prefix) / "sslyze" / "bin" / "sslyze"  # apart from ours: it wants an older cryptography


@pytest.mark.long
@pytest.mark.skipif(not SSLYZE.exists(), reason="make test-long and make scan install sslyze")
def test_every_port_that_speaks_tls_fits_mozillas_intermediate_configuration(served: Server) -> None:
    found = tls(str(SSLYZE), served)
    assert len(found) == 6
    assert not any(found.values()), found
