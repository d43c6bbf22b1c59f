"""How do the numbers of rows stand in answers that programs read?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IDS = frozenset(  # under which names an answer has the number of a row
    (
        *("id", "org", "organisation", "account", "author_account", "subscriber", "contact", "device"),
        *("message", "thread", "delivery", "invitation", "subject"),
    )
)


def for_scripts(value: Any, name: str = "") -> Any:
    """
    Return *value* with every id in it as text; *name* is what it stands under.

    Ids have 63 bits. JavaScript and jq read numbers as floating point and round what has more than 53 (RFC 8259 §6).
    """
    if isinstance(value, Mapping):
        return {key: for_scripts(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [for_scripts(each, name) for each in value]
    return str(value) if name in IDS and isinstance(value, int) else value
