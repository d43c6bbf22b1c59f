"""How does an officer have the large files of a message in the archive? By the glass break that shows the message.

The archive's grant opens the message, and so the list of its files, as it does for a recipient. Each time octets of one
are asked for stands in the audit trail before the first of them leaves, and none leaves once the glass break is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.flow.downloads import Download, download_of
from cryptnsend.flow.filereading import FileReading, chosen, files_beside
from cryptnsend.flow.glass import Broken, GlassBreaks, Recovered
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.views import KeptFile
from cryptnsend.keeper.client import Keeper


class ArchivedFiles:
    """Gives out large files of archives. Shared by all requests of a process; keeps nothing."""

    def __init__(self, *, engine: Engine, opener: Opener, keeper: Keeper, glass: GlassBreaks, reading: FileReading):
        self._engine, self._opener, self._keeper = engine, opener, keeper
        self._glass, self._reading = glass, reading

    def beside(self, broken: Broken, message: int) -> Sequence[KeptFile]:
        """Return the large files beside a message that a glass break opens. Raises NoGrant, SealBroken."""
        files = self.files(broken, message)
        return [KeptFile(each.id, each.name, each.media_type, each.size, linked=True) for each in files]

    def files(self, broken: Broken, message: int) -> Sequence[LinkedFile]:
        """Return the same with what opens them."""
        row, keys = self._glass.unlocked(broken, message)
        return files_beside(self._engine, self._opener, row["org"], message, keys[:32])

    def get(self, broken: Broken, message: int, file: int) -> Download:
        """Return one of them to be downloaded, noted in the audit trail before. Raises NoGrant, SealBroken."""
        found = chosen(self.files(broken, message), file)
        self._glass.note(broken, [message], "archive.exported", {"file": str(file)})
        return download_of(found, self._reading, partial(self.still, broken))

    def octets(self, broken: Broken, file: LinkedFile) -> Iterator[bytes]:
        """Yield a file for an export; it ends early where the glass break does."""
        return self._reading.octets(file, 0, file.size, partial(self.still, broken))

    def still(self, broken: Broken) -> bool:
        """Say whether the keeper says that it holds."""
        try:
            if isinstance(broken, Recovered):
                self._keeper.recovered(broken.session.ticket)
            else:
                self._keeper.glass_running(broken.session.ticket, broken.id)
        except CryptnSendError:
            return False
        return True
