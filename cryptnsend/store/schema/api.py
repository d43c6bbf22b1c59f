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

HOOKS = Step(
    "0030-hooks",
    (
        """CREATE TABLE hooks(                     -- where programs are told; the URL that counts, the keeper has
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            url TEXT NOT NULL,
            events TEXT NOT NULL,               -- with blanks between
            created INTEGER NOT NULL,
            told INTEGER,                       -- when its owner was last told that it does not work
            ended INTEGER
        ) STRICT""",
        "CREATE INDEX hooks_account ON hooks(account)",
        """CREATE TABLE hook_events(               -- what is told; the deliveries of kind hook name them
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            hook INTEGER NOT NULL REFERENCES hooks,
            event TEXT NOT NULL,
            message INTEGER,
            delivery INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX hook_events_hook ON hook_events(hook, id)",
        "CREATE INDEX hook_events_created ON hook_events(created)",
    ),
)

HOOKS_OF_ALL = Step(
    "0032-hooks-of-all",
    (
        "ALTER TABLE hooks ADD COLUMN whole INTEGER NOT NULL DEFAULT 0",  # 1: hears of all mail of the organisation
        "CREATE INDEX hooks_whole ON hooks(org, whole)",
    ),
)
