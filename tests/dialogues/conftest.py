"""The dialogues are spoken with the doors that the tests of submission/ use."""

from __future__ import annotations

from tests.submission.conftest import authority as authority
from tests.submission.conftest import open_doors as open_doors
from tests.submission.conftest import open_inbound as open_inbound
