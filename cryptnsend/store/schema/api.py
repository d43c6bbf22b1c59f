"""What is kept of programs that send for somebody: their tokens, and what was sent under which key of theirs?"""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

API = Step(
    "0029-api",
    (
        """CREATE TABLE api_tokens(                -- names and times; whether a token is right, the keeper says
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            name TEXT NOT NULL,
            scopes TEXT NOT NULL,               -- with blanks between
            created INTEGER NOT NULL,
            ends INTEGER NOT NULL,
            used INTEGER,
            revoked INTEGER
        ) STRICT""",
        "CREATE INDEX api_tokens_account ON api_tokens(account)",
        """CREATE TABLE api_sent(                  -- what a repeated request made at first
            message INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            token INTEGER NOT NULL,
            said BLOB NOT NULL,                 -- MAC of the request under the token's secret, which rests nowhere
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX api_sent_created ON api_sent(created)",
    ),
)
