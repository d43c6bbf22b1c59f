"""The doors as a process of their own: `serve` with the doubles, for tests of signals, memory and other programs.

Prints one line of JSON with its ports when the doors are open, and one with what it kept when they are closed.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

import structlog

from cryptnsend.home import bind
from cryptnsend.submission.limits import Limits
from cryptnsend.submission.server import Door, serve
from cryptnsend.submission.tls import Certificate
from tests.submission.doubles import HOST, Gate, InMemoryIntake


def main(folder: Path, options: dict[str, float]) -> None:
    intake = InMemoryIntake()
    intake.only_hash = bool(options.pop("only_hash", False))
    hold = options.pop("hold", 0.0)  # seconds that each commit takes
    if files := int(options.pop("files", 0)):  # open at once
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if hold:
        intake.before_commit = lambda: asyncio.sleep(hold)
    sockets = [bind("127.0.0.1", 0), bind("127.0.0.1", 0)]
    ports = [each.getsockname()[1] for each in sockets]
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[structlog.processors.JSONRenderer()])
    serve(
        [Door(sockets[0], implicit_tls=True), Door(sockets[1], implicit_tls=False)],
        gatekeeper=Gate(),
        intake=lambda loop: intake,
        certificate=Certificate(folder / "chain.pem", folder / "key.pem", log),
        hostname=HOST,
        log=log,
        limits=Limits(**{"auth_delay": 0.02, "drain": 5.0, **options}),
        ready=lambda: print(json.dumps(ports), flush=True),
    )
    kept = [{"size": each.size, "digest": each.digest, "to": len(each.envelope.recipients)} for each in intake.kept]
    print(json.dumps({"kept": kept, "aborted": len(intake.aborted), "inside": intake.inside}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
