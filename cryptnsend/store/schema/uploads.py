"""What is kept of files that come in piece by piece?"""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

UPLOADS = Step(
    "0016-uploads",
    (
        """CREATE TABLE uploads(                   -- files on their way in, piece by piece
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- whose it is, and the only one who goes on with it
            nonce BLOB NOT NULL,                -- of the request that began it: once more begins no other
            pair INTEGER NOT NULL REFERENCES pairs,         -- its owner's, to which its key is sealed
            suite INTEGER NOT NULL,
            sealed_key BLOB NOT NULL,
            about BLOB NOT NULL,                -- sealed: name, kind, size
            size INTEGER NOT NULL,              -- octets in clear when it is whole
            arrived INTEGER NOT NULL,           -- octets in clear that are durable
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            UNIQUE(account, nonce)
        ) STRICT""",
        "CREATE INDEX uploads_changed ON uploads(changed)",
        """CREATE TABLE upload_pieces(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            upload INTEGER NOT NULL REFERENCES uploads,
            start INTEGER NOT NULL,             -- its place in the file
            body BLOB,                          -- sealed; large ones rest under blob_key
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL,            -- sealed
            UNIQUE(upload, start)
        ) STRICT""",
    ),
)
