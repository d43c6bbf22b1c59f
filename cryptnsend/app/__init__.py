"""The composition root: the only place that knows which implementation is used.

`build` makes the pieces of one role's process; what a role does not use is neither made nor brought in, so that no
process holds more than it needs, and each starts sooner. Nobody imports this module but `__main__`, `cli` and `demo`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptnsend.app.desk import scanners
from cryptnsend.app.oversight import Oversight
from cryptnsend.app.post import Post
from cryptnsend.app.strongroom import serve_keeper
from cryptnsend.config import Config

__all__ = ["App", "build", "scanners", "serve_keeper"]


@dataclass
class App(Post, Oversight):
    """The pieces of one role, each made when it is first asked for."""


def build(config: Config, role: str) -> App:
    """Return the pieces of *role*: keeper, submission, inbound, mailbox, portal, courier or owner (the commands)."""
    return App(config, role)
