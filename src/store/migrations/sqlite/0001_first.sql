-- Instants are milliseconds since 1970 in UTC, flags are 0 or 1, ids are 16 bytes.

-- One row: every writer starts by locking it. The epoch counts changes; sequence and hash are the end
-- of the history's chain.
CREATE TABLE head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- `cap` is whose holdings cap this account's: its owner's, or its own. `person` and `owner_person`
-- exist for the foreign key that keeps a proxy user from owning another (P14).
CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username TEXT NOT NULL UNIQUE,
    folded TEXT NOT NULL UNIQUE,
    person INTEGER NOT NULL CHECK (person IN (0, 1)),
    owner BLOB,
    owner_person INTEGER CHECK (owner_person = 1),
    cap BLOB NOT NULL,
    life INTEGER NOT NULL CHECK (life >= 1),
    created_at INTEGER NOT NULL,
    inactive_at INTEGER,
    inactive_by TEXT,
    inactive_reason TEXT,
    UNIQUE (id, person),
    UNIQUE (id, cap),
    FOREIGN KEY (owner, owner_person) REFERENCES accounts (id, person),
    CHECK ((person = 1) = (owner IS NULL)),
    CHECK ((owner IS NULL) = (owner_person IS NULL)),
    CHECK (cap = COALESCE(owner, id)),
    CHECK ((inactive_at IS NULL) = (inactive_by IS NULL)),
    CHECK ((inactive_at IS NULL) = (inactive_reason IS NULL))
) STRICT;
CREATE INDEX accounts_by_owner ON accounts (owner) WHERE owner IS NOT NULL;

CREATE TABLE roles (name TEXT NOT NULL PRIMARY KEY) STRICT;

CREATE TABLE role_permissions (
    role TEXT NOT NULL REFERENCES roles (name),
    permission TEXT NOT NULL,
    PRIMARY KEY (role, permission)
) STRICT;

CREATE TABLE apps (
    name TEXT NOT NULL PRIMARY KEY,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1))
) STRICT;

-- A proxy user's grant stands on its owner's: it cannot be made without it, and goes with it (P5, P7).
-- A person's grant stands on itself.
CREATE TABLE grants (
    account BLOB NOT NULL,
    holding TEXT NOT NULL,
    cap BLOB NOT NULL,
    role TEXT REFERENCES roles (name),
    app TEXT REFERENCES apps (name),
    PRIMARY KEY (account, holding),
    FOREIGN KEY (account, cap) REFERENCES accounts (id, cap) ON DELETE CASCADE,
    FOREIGN KEY (cap, holding) REFERENCES grants (account, holding) ON DELETE CASCADE,
    CHECK (holding = COALESCE('role:' || role, 'app:' || app)),
    CHECK ((role IS NULL) <> (app IS NULL))
) STRICT;
CREATE INDEX grants_by_holding ON grants (holding);
CREATE INDEX grants_by_cap ON grants (cap, holding);

CREATE TABLE reasons (
    code TEXT NOT NULL PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT;

-- Exactly one of pending, confirmed and revoked (T3, T6). Networks and apps are separated by spaces.
CREATE TABLE pats (
    public_id TEXT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    service TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    pepper INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    pending_until INTEGER,
    confirmed_at INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT,
    revoked_reason TEXT REFERENCES reasons (code),
    networks TEXT NOT NULL,
    apps TEXT NOT NULL,
    read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    last_used_at INTEGER,
    CHECK ((pending_until IS NOT NULL) + (confirmed_at IS NOT NULL) + (revoked_at IS NOT NULL) = 1),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;
CREATE INDEX pats_by_account ON pats (account);

CREATE TABLE tombstones (digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32)) STRICT;

-- The open streak of failures of an account; one attempt a line.
CREATE TABLE failures (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    life INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    tripped_at INTEGER
) STRICT;

-- `canonical` is the entry; the other columns repeat of it what is searched for. No foreign keys: the
-- history outlives what it speaks of (P12).
CREATE TABLE history (
    sequence INTEGER NOT NULL PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    target BLOB,
    canonical BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX history_by_target ON history (target, sequence);
CREATE INDEX history_by_actor ON history (actor, sequence);
CREATE INDEX history_by_kind ON history (kind, sequence);

-- Append-only (H5): an accident is refused here; what is done on purpose breaks the chain.
CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
