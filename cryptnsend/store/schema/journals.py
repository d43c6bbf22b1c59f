"""What came to the main database for journals? Who gets copies the rules say; here is what finds them."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

JOURNALS = Step(
    "0022-journals",
    (
        "DROP TABLE journals",  # never used: a row alone must not say where copies of mail go
        "CREATE INDEX deliveries_journal ON deliveries(recipient, created) WHERE kind = 'journal'",
    ),
)
