-- Instants are milliseconds since 1970 in UTC, flags are 0 or 1, ids are 16 bytes.

-- One row: every writer starts by locking it. The epoch counts changes; sequence and hash are the end
-- of the history's chain.
CREATE TABLE head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- `cap` is whose holdings cap this account's: its owner's, or its own. `person` and `owner_person`
-- exist for the foreign key that keeps a proxy user from owning another (P14).
CREATE TABLE accounts (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username TEXT COLLATE "C" NOT NULL UNIQUE,
    folded TEXT COLLATE "C" NOT NULL UNIQUE,
    person BIGINT NOT NULL CHECK (person IN (0, 1)),
    owner BYTEA,
    owner_person BIGINT CHECK (owner_person = 1),
    cap BYTEA NOT NULL,
    life BIGINT NOT NULL CHECK (life >= 1),
    created_at BIGINT NOT NULL,
    inactive_at BIGINT,
    inactive_by TEXT COLLATE "C",
    inactive_reason TEXT COLLATE "C",
    UNIQUE (id, person),
    UNIQUE (id, cap),
    FOREIGN KEY (owner, owner_person) REFERENCES accounts (id, person),
    CHECK ((person = 1) = (owner IS NULL)),
    CHECK ((owner IS NULL) = (owner_person IS NULL)),
    CHECK (cap = COALESCE(owner, id)),
    CHECK ((inactive_at IS NULL) = (inactive_by IS NULL)),
    CHECK ((inactive_at IS NULL) = (inactive_reason IS NULL))
);
CREATE INDEX accounts_by_owner ON accounts (owner) WHERE owner IS NOT NULL;

CREATE TABLE roles (name TEXT COLLATE "C" NOT NULL PRIMARY KEY);

CREATE TABLE role_permissions (
    role TEXT COLLATE "C" NOT NULL REFERENCES roles (name),
    permission TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (role, permission)
);

CREATE TABLE apps (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    enabled BIGINT NOT NULL CHECK (enabled IN (0, 1))
);

-- A proxy user's grant stands on its owner's: it cannot be made without it, and goes with it (P5, P7).
-- A person's grant stands on itself.
CREATE TABLE grants (
    account BYTEA NOT NULL,
    holding TEXT COLLATE "C" NOT NULL,
    cap BYTEA NOT NULL,
    role TEXT COLLATE "C" REFERENCES roles (name),
    app TEXT COLLATE "C" REFERENCES apps (name),
    PRIMARY KEY (account, holding),
    FOREIGN KEY (account, cap) REFERENCES accounts (id, cap) ON DELETE CASCADE,
    FOREIGN KEY (cap, holding) REFERENCES grants (account, holding) ON DELETE CASCADE,
    CHECK (holding = COALESCE('role:' || role, 'app:' || app)),
    CHECK ((role IS NULL) <> (app IS NULL))
);
CREATE INDEX grants_by_holding ON grants (holding);
CREATE INDEX grants_by_cap ON grants (cap, holding);

CREATE TABLE reasons (
    code TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    meaning TEXT COLLATE "C" NOT NULL
);

-- Exactly one of pending, confirmed and revoked (T3, T6). Networks and apps are separated by spaces.
CREATE TABLE pats (
    public_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    service TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    pepper BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    pending_until BIGINT,
    confirmed_at BIGINT,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    revoked_reason TEXT COLLATE "C" REFERENCES reasons (code),
    networks TEXT COLLATE "C" NOT NULL,
    apps TEXT COLLATE "C" NOT NULL,
    read_only BIGINT NOT NULL CHECK (read_only IN (0, 1)),
    last_used_at BIGINT,
    CHECK (num_nonnulls(pending_until, confirmed_at, revoked_at) = 1),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX pats_by_account ON pats (account);

CREATE TABLE tombstones (digest BYTEA NOT NULL PRIMARY KEY CHECK (length(digest) = 32));

-- The open streak of failures of an account; one attempt a line.
CREATE TABLE failures (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    life BIGINT NOT NULL,
    attempts TEXT COLLATE "C" NOT NULL,
    tripped_at BIGINT
);

-- `canonical` is the entry; the other columns repeat of it what is searched for. No foreign keys: the
-- history outlives what it speaks of (P12).
CREATE TABLE history (
    sequence BIGINT NOT NULL PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    target BYTEA,
    canonical BYTEA NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX history_by_target ON history (target, sequence);
CREATE INDEX history_by_actor ON history (actor, sequence);
CREATE INDEX history_by_kind ON history (kind, sequence);

-- Append-only (H5): an accident is refused here; what is done on purpose breaks the chain.
CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$;
CREATE TRIGGER history_is_not_changed BEFORE UPDATE OR DELETE ON history
FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_is_not_truncated BEFORE TRUNCATE ON history
FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only();

-- Who holds the lock of the node: the lock itself is an advisory one of the session.
CREATE TABLE node_holder (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    holder TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL
);
