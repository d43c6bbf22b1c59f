"""Templates stay compiled from one test to the next, though each test makes an application of its own."""

from __future__ import annotations

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from cryptnsend.portal import Portal


class Compiled(BytecodeCache):
    """Keeps what was compiled in memory; Jinja itself looks whether it still belongs to the source."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


def keep_compiled() -> None:
    """Let all applications of this process share what one of them compiled."""
    if "bytecode_cache" not in Portal.jinja_options:
        Portal.jinja_options = {**Portal.jinja_options, "bytecode_cache": Compiled()}
