"""What is kept of files that are too large for mail, and rest beside the message that they belong to?"""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

FILES = Step(
    "0023-files",
    (
        """CREATE TABLE message_files(             -- a file that came in pieces, and the message that it goes with
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL REFERENCES uploads,
            org INTEGER NOT NULL REFERENCES organisations,
            PRIMARY KEY(message, file)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX message_files_file ON message_files(file)",
        """CREATE TABLE file_links(                -- whoever has the link, or the password, may have the files
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            locator BLOB NOT NULL UNIQUE,       -- SHA-256 of what stands in its address
            way TEXT NOT NULL,                  -- secret password
            salt BLOB NOT NULL,
            params TEXT NOT NULL,               -- of Argon2id, '' for a secret
            files BLOB NOT NULL,                -- sealed: names and keys, under what secret or password gives
            own BLOB NOT NULL,                  -- sealed to its author: the address, to be copied again
            pair INTEGER NOT NULL REFERENCES pairs,
            state TEXT NOT NULL,                -- active suspended
            most INTEGER NOT NULL,              -- downloads that are allowed, 0 for any number
            spent INTEGER NOT NULL,
            ends INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX file_links_message ON file_links(message)",
        "CREATE INDEX file_links_ends ON file_links(ends)",
        """CREATE TABLE file_tickets(              -- a download that was begun by a button
            id BLOB PRIMARY KEY,                -- SHA-256 of the ticket
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL REFERENCES uploads,
            link INTEGER REFERENCES file_links,
            account INTEGER REFERENCES accounts,
            session BLOB,                       -- the only one that may use it
            sealed BLOB NOT NULL,               -- name and key of the file, under the ticket
            ends INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX file_tickets_ends ON file_tickets(ends)",
        "CREATE INDEX file_tickets_message ON file_tickets(message)",
        """CREATE TABLE downloads(                 -- who had which file, and when
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL,
            account INTEGER REFERENCES accounts,
            link INTEGER,
            at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX downloads_message ON downloads(message)",
        "ALTER TABLE uploads ADD COLUMN library INTEGER NOT NULL DEFAULT 0",  # kept to be attached again
    ),
)

LINK_MARKS = Step(
    "0031-link-marks",
    (
        "ALTER TABLE file_links ADD COLUMN mark BLOB NOT NULL DEFAULT x''",  # tells a damaged row from a wrong password
        "ALTER TABLE file_links ADD COLUMN guesses INTEGER NOT NULL DEFAULT 0",  # wrong passwords, in its whole life
    ),
)
