"""Which tables does the ledger have? Steps that are only ever appended. Times are UTC milliseconds.

The ledger is a database of its own, for the keeper's uid only, and the truth for whatever releases a key. No secret
rests in it but wrapped: by the provider's master key, by one of the keeper's secrets, or by both a password and one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One schema step: a name that never changes and the statements it runs, in one transaction."""

    name: str
    statements: tuple[str, ...]


FIRST = Step(
    "0001-ledger",
    (
        """CREATE TABLE era(
            n INTEGER PRIMARY KEY,              -- the highest counts; +1 at each restore
            since INTEGER NOT NULL
        ) STRICT""",
        "INSERT INTO era VALUES (1, 0)",
        """CREATE TABLE secrets(
            label TEXT NOT NULL,
            key_id INTEGER NOT NULL,            -- of a pair's seed: the pair's id
            wrapped BLOB NOT NULL,              -- by the provider, bound to label and key id
            made INTEGER NOT NULL,
            PRIMARY KEY(label, key_id)
        ) STRICT""",
        """CREATE TABLE organisations(
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            single INTEGER NOT NULL,            -- 1: an organisation of one
            custody TEXT NOT NULL,              -- of the threads its subscribers start
            code_rule TEXT NOT NULL,            -- '' for the installation's
            head_seq INTEGER NOT NULL,          -- how far its audit chain has come
            head BLOB NOT NULL
        ) STRICT""",
        "INSERT INTO organisations VALUES (0, 'installation', 0, 'managed', '', 0, x'')",
        """CREATE TABLE accounts(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            roles TEXT NOT NULL,                -- comma list
            state TEXT NOT NULL,                -- active weak disabled closed
            generation INTEGER NOT NULL,        -- +1 at each weak reset
            line INTEGER NOT NULL,              -- who holds it: a weak reset starts one, showing who one is joins two
            trusted_line INTEGER NOT NULL,      -- the line before it became weak
            credential_version INTEGER NOT NULL,
            salt BLOB NOT NULL,
            params TEXT NOT NULL,
            name TEXT NOT NULL,
            locale TEXT NOT NULL,
            form TEXT NOT NULL,                 -- in which replies are handed off
            weak_since INTEGER,
            weak_answered INTEGER,              -- somebody who is not the resetter was heard of: waiting ends nothing
            confirmed INTEGER,                  -- an officer's word since weak_since
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX accounts_org ON accounts(org)",
        """CREATE TABLE addresses(
            canonical TEXT PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES accounts,
            proof TEXT NOT NULL,                -- code mail invite owner
            at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX addresses_account ON addresses(account)",
        """CREATE TABLE cards(
            holder TEXT PRIMARY KEY,            -- the newest card of each
            version INTEGER NOT NULL,
            body BLOB NOT NULL,
            signature BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE pairs(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            holder TEXT NOT NULL,
            role TEXT NOT NULL,                 -- account archive pending queue
            custody TEXT NOT NULL,
            suite INTEGER NOT NULL,
            public BLOB NOT NULL,
            recovery_wrap BLOB,                 -- the seed of a managed pair, under the secret "recovery"
            state TEXT NOT NULL,                -- current withheld locked retired
            line INTEGER NOT NULL,              -- the account's when it was made, or that it joined since
            made INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX pairs_holder ON pairs(holder)",
        """CREATE TABLE wraps(
            pair INTEGER NOT NULL REFERENCES pairs,
            kind TEXT NOT NULL,                 -- password: today's; earlier: before a reset; recovery; officer
            ref INTEGER NOT NULL,               -- earlier: the generation; officer: their strict pair; else 0
            salt BLOB NOT NULL,                 -- of an earlier password
            params TEXT NOT NULL,
            wrap BLOB NOT NULL,                 -- under the secret "outer" too, but for officers
            PRIMARY KEY(pair, kind, ref)
        ) STRICT""",
        "CREATE INDEX wraps_ref ON wraps(kind, ref)",
        """CREATE TABLE contacts(
            address TEXT NOT NULL,
            subscriber INTEGER NOT NULL REFERENCES accounts,
            state TEXT NOT NULL,                -- new proven
            account INTEGER,                    -- whose proof it was
            account_generation INTEGER,         -- at that proof
            account_line INTEGER,               -- at that proof
            proven_at INTEGER,
            generation INTEGER NOT NULL,        -- of the code; 0 before the first
            spent INTEGER NOT NULL,             -- the generation that was used for a proof
            era INTEGER NOT NULL,
            digits INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            week_start INTEGER NOT NULL,
            week_count INTEGER NOT NULL,
            PRIMARY KEY(address, subscriber)
        ) STRICT""",
        "CREATE INDEX contacts_account ON contacts(account)",
        """CREATE TABLE mail_codes(
            id INTEGER PRIMARY KEY,
            purpose TEXT NOT NULL,              -- reset signup alias invite exists
            address TEXT NOT NULL,
            org INTEGER NOT NULL,               -- that an invitation is for
            name TEXT NOT NULL,
            era INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            made INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            state TEXT NOT NULL                 -- live replaced used
        ) STRICT""",
        "CREATE INDEX mail_codes_address ON mail_codes(address, made)",
        """CREATE TABLE spent(
            proof BLOB PRIMARY KEY,             -- a repeated request gives the same answer
            account INTEGER NOT NULL REFERENCES accounts,
            at INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE passphrases(
            account INTEGER NOT NULL REFERENCES accounts,
            since INTEGER NOT NULL,
            wrapped BLOB NOT NULL,              -- under the secret "outer"
            PRIMARY KEY(account, since)
        ) STRICT""",
        """CREATE TABLE devices(
            id INTEGER PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES accounts,
            line INTEGER NOT NULL,
            scope TEXT NOT NULL,
            verifier BLOB NOT NULL,             -- keyed MAC over account, device, scope, secret
            created INTEGER NOT NULL,
            revoked INTEGER
        ) STRICT""",
        "CREATE INDEX devices_account ON devices(account)",
    ),
)

OPEN_SIGN_UP = Step(
    "0002-open-sign-up",
    ("ALTER TABLE accounts ADD COLUMN open_since INTEGER",),  # when it became a subscriber on nobody's word
)

NETWORKS = Step(
    "0003-networks",
    (
        """CREATE TABLE networks(
            account INTEGER NOT NULL REFERENCES accounts,
            mark BLOB NOT NULL,                 -- MAC of a network from which its owner signed in
            seen INTEGER NOT NULL,
            PRIMARY KEY(account, mark)
        ) STRICT""",
        "ALTER TABLE mail_codes ADD COLUMN network BLOB NOT NULL DEFAULT x''",  # MAC of who asked for it
        "ALTER TABLE mail_codes ADD COLUMN known INTEGER NOT NULL DEFAULT 0",  # 1: the owner has signed in from there
    ),
)

READING_DEVICES = Step(
    "0004-reading-devices",
    (
        "ALTER TABLE devices ADD COLUMN public BLOB",  # of the pair that grows from a reading device's secret
        """CREATE TABLE device_seeds(
            device INTEGER NOT NULL REFERENCES devices,
            pair INTEGER NOT NULL REFERENCES pairs,
            sealed BLOB NOT NULL,               -- the pair's seed, sealed to the device's pair, under "outer" too
            PRIMARY KEY(device, pair)
        ) STRICT""",
    ),
)

SECOND_STEPS = Step(
    "0005-second-steps",
    (
        """CREATE TABLE second_steps(
            account INTEGER PRIMARY KEY REFERENCES accounts,
            wrapped BLOB NOT NULL,              -- the secret of its numbers, under the secret "outer"
            made INTEGER,                       -- NULL until a first number was shown
            step INTEGER NOT NULL,              -- the newest whose number was used
            tries INTEGER NOT NULL,
            tries_since INTEGER NOT NULL,
            trusted_since INTEGER NOT NULL      -- browsers trusted before are trusted no more
        ) STRICT""",
    ),
)

POLICIES = Step(
    "0006-policies",
    # What an organisation said of its own rules, as JSON; '' for nothing. Its archive's card has the fingerprint.
    ("ALTER TABLE organisations ADD COLUMN policy TEXT NOT NULL DEFAULT ''",),
)

ALLOWANCES = Step(
    "0007-allowances",
    (
        """CREATE TABLE allowances(
            subscriber INTEGER NOT NULL REFERENCES accounts,
            message INTEGER NOT NULL,           -- 0: what they chose for whatever they send since `at`
            way TEXT NOT NULL,                  -- what may stand in for the code: code (nothing) mail none
            at INTEGER NOT NULL,
            PRIMARY KEY(subscriber, message)
        ) STRICT""",
        """CREATE TABLE mail_opened(
            message INTEGER NOT NULL,           -- that was opened by a mailed code, as its sender allowed
            address TEXT NOT NULL,
            account INTEGER NOT NULL REFERENCES accounts,
            account_generation INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY(message, address)
        ) STRICT""",
    ),
)

BEFORE_RESETS = Step(
    "0008-before-resets",
    # Which version of its credentials an account had before it became weak: what a trusted browser was given then.
    ("ALTER TABLE accounts ADD COLUMN weak_version INTEGER",),
)

GLASS = Step(
    "0009-glass",
    (
        "ALTER TABLE organisations ADD COLUMN two_officers INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE glass_breaks(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            officer INTEGER NOT NULL REFERENCES accounts,
            mailbox TEXT NOT NULL,              -- canonical address
            minutes INTEGER NOT NULL,
            asked INTEGER NOT NULL,
            agreed_by INTEGER REFERENCES accounts,
            opened INTEGER,
            ends INTEGER
        ) STRICT""",
        """CREATE TABLE manifest_heads(            -- how far each archive's manifest has come
            org INTEGER PRIMARY KEY REFERENCES organisations,
            seq INTEGER NOT NULL,
            head BLOB NOT NULL
        ) STRICT""",
    ),
)

FRIENDS = Step(
    "0010-friends",
    # Family and friends: whom a subscriber's mail may go to as ordinary mail, canonical, one a line. On their card.
    ("ALTER TABLE accounts ADD COLUMN friends TEXT NOT NULL DEFAULT ''",),
)

LOOKS = Step(
    "0011-looks",
    # How an organisation looks, as JSON; '' for the house's look. Its archive's card has the fingerprint.
    ("ALTER TABLE organisations ADD COLUMN look TEXT NOT NULL DEFAULT ''",),
)

PASSKEYS = Step(
    "0012-passkeys",
    (
        """CREATE TABLE passkeys(
            id INTEGER PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES accounts,
            line INTEGER NOT NULL,
            name TEXT NOT NULL,                 -- what its owner calls it
            credential BLOB NOT NULL UNIQUE,    -- the id that its authenticator gave it
            public_key BLOB NOT NULL,           -- COSE, RFC 9052 section 7
            counter INTEGER NOT NULL,           -- of its last signature; 0 for those that count nothing
            kept TEXT NOT NULL,                 -- device: in one only; synced: may be copied; backed-up: is
            created INTEGER NOT NULL,
            used INTEGER,
            copied INTEGER,                     -- when its counter went back: somebody may have a copy
            salt BLOB NOT NULL,                 -- from which, with its PRF output, a pair grows
            public BLOB                         -- of that pair; NULL for one that opens no seeds by itself
        ) STRICT""",
        "CREATE INDEX passkeys_account ON passkeys(account)",
        """CREATE TABLE passkey_seeds(
            passkey INTEGER NOT NULL REFERENCES passkeys,
            pair INTEGER NOT NULL REFERENCES pairs,
            sealed BLOB NOT NULL,               -- the pair's seed, sealed to the passkey's pair, under "outer" too
            PRIMARY KEY(passkey, pair)
        ) STRICT""",
        """CREATE TABLE passkey_steps(             -- accounts that ask for a passkey after the password
            account INTEGER PRIMARY KEY REFERENCES accounts,
            made INTEGER NOT NULL,
            trusted_since INTEGER NOT NULL      -- browsers trusted before are trusted no more
        ) STRICT""",
        """CREATE TABLE passkey_answers(           -- challenges that were answered: each is good once
            mark BLOB PRIMARY KEY,
            ends INTEGER NOT NULL
        ) STRICT""",
    ),
)

OWN_KEYS = Step(
    "0013-own-keys",
    (
        # Certificates and OpenPGP keys, as marks (`core.model.KeyMark`) in JSON: a subscriber's own, and those of
        # people whom they write to. On their card.
        "ALTER TABLE accounts ADD COLUMN own_keys TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE accounts ADD COLUMN known_keys TEXT NOT NULL DEFAULT '[]'",
    ),
)

GLASS_SECOND = Step(
    "0014-glass-second",
    # Who is to agree, where the organisation asks for two officers: one who is named, and nobody else.
    ("ALTER TABLE glass_breaks ADD COLUMN second INTEGER REFERENCES accounts",),
)

API_TOKENS = Step(
    "0015-api-tokens",
    (
        """CREATE TABLE api_tokens(
            id INTEGER PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES accounts,
            scopes TEXT NOT NULL,               -- send status expire list, with blanks between
            verifier BLOB NOT NULL,             -- keyed MAC over account, token, scopes, end, secret
            version INTEGER NOT NULL,           -- of the account's credentials; another one ends it
            created INTEGER NOT NULL,
            ends INTEGER NOT NULL,
            revoked INTEGER
        ) STRICT""",
        "CREATE INDEX api_tokens_account ON api_tokens(account)",
    ),
)

HOOKS = Step(
    "0016-hooks",
    (
        """CREATE TABLE hooks(
            id INTEGER PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES accounts,
            url TEXT NOT NULL,
            events TEXT NOT NULL,               -- opened replied bounced held, with blanks between
            secret BLOB NOT NULL,               -- under the secret "outer"; empty when it has ended
            earlier BLOB,                       -- the one before, which signs too until then
            earlier_until INTEGER,
            created INTEGER NOT NULL,
            ended INTEGER
        ) STRICT""",
        "CREATE INDEX hooks_account ON hooks(account)",
    ),
)

HOOKS_OF_ALL = Step(
    "0017-hooks-of-all",
    (
        "ALTER TABLE hooks ADD COLUMN org INTEGER REFERENCES organisations",  # whose they are, where not an account's
        "CREATE INDEX hooks_org ON hooks(org)",
    ),
)

RENEWALS = Step(
    "0018-renewals",
    # Since when its owner is to get new pairs, which they do when they next type the password on a page.
    ("ALTER TABLE accounts ADD COLUMN renew INTEGER",),
)

STEPS: tuple[Step, ...] = (
    FIRST,
    OPEN_SIGN_UP,
    NETWORKS,
    READING_DEVICES,
    SECOND_STEPS,
    POLICIES,
    ALLOWANCES,
    BEFORE_RESETS,
    GLASS,
    FRIENDS,
    LOOKS,
    PASSKEYS,
    OWN_KEYS,
    GLASS_SECOND,
    API_TOKENS,
    HOOKS,
    HOOKS_OF_ALL,
    RENEWALS,
)
