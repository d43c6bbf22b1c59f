"""What came to the main database for mail that was to leave plain: what was found in it, and what was decided."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

HOLDS = Step(
    "0020-holds",
    (
        """CREATE TABLE holds(                     -- what was found in a message that was to leave plain; one look each
            message INTEGER PRIMARY KEY REFERENCES messages,
            org INTEGER NOT NULL REFERENCES organisations,      -- of the conversation
            author INTEGER NOT NULL REFERENCES accounts,        -- who decides
            house INTEGER NOT NULL REFERENCES organisations,    -- the author's, whose officers see that it is held
            state TEXT NOT NULL,                -- clear held encrypt plain discarded
            rules TEXT NOT NULL,                -- names of the rules that found something
            sealed BLOB NOT NULL,               -- the findings, under the message's key; empty if there are none
            until INTEGER NOT NULL,             -- when it is sent encrypted by itself
            decided INTEGER,
            decided_by TEXT NOT NULL,           -- account:<id>, owner, or time
            reason TEXT NOT NULL,               -- why it was sent as it is
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX holds_waiting ON holds(until) WHERE state = 'held'",
        "CREATE INDEX holds_house ON holds(house, message) WHERE state <> 'clear'",
    ),
)
