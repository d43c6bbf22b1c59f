"""Writes the vectors that are missing; one that is there is never changed. Run: python -m tests.vectors.make"""

from __future__ import annotations

from tests.vectors import content, people

if __name__ == "__main__":
    for each in (content.streams, content.epochs, content.grants, people.wraps, people.tokens, content.exports):
        each()
