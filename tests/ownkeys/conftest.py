"""One locksmith for all tests of a process."""

from tests.support.ownkeys import gnupg, locksmith

__all__ = ["gnupg", "locksmith"]
