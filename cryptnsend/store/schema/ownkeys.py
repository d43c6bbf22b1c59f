"""What came to the main database for people's own keys."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

OWN_KEYS = Step(
    "0027-own-keys",
    (
        """CREATE TABLE own_keys(                 -- certificates and OpenPGP keys; which of them count, cards say
            account INTEGER NOT NULL REFERENCES accounts,       -- of the subscriber who handed it in
            address TEXT NOT NULL,              -- canonical, of the person it belongs to; '' for the subscriber's own
            kind TEXT NOT NULL,                 -- smime openpgp
            org INTEGER NOT NULL REFERENCES organisations,
            octets BLOB NOT NULL,               -- DER, or OpenPGP packets
            fingerprint TEXT NOT NULL,
            names TEXT NOT NULL,                -- one a line
            algorithm TEXT NOT NULL,
            starts INTEGER NOT NULL,
            ends INTEGER,
            added INTEGER NOT NULL,
            told INTEGER NOT NULL,              -- how often its owner was told of its end
            PRIMARY KEY(account, address, kind)
        ) STRICT""",
        "CREATE INDEX own_keys_end ON own_keys(ends) WHERE ends IS NOT NULL",
    ),
)
