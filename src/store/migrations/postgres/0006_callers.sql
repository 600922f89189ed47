-- The level of those who run Locum (A1); only people have one (P14). Inactive is the administration, not
-- the account.
CREATE TABLE administrators (
    account BYTEA NOT NULL PRIMARY KEY,
    person BIGINT NOT NULL CHECK (person = 1),
    level TEXT COLLATE "C" NOT NULL CHECK (level IN ('administrator', 'super_administrator')),
    inactive_at BIGINT,
    inactive_by TEXT COLLATE "C",
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE,
    CHECK ((inactive_at IS NULL) = (inactive_by IS NULL))
);

-- Administrators of one app (R5).
CREATE TABLE app_administrators (
    account BYTEA NOT NULL,
    person BIGINT NOT NULL CHECK (person = 1),
    app TEXT COLLATE "C" NOT NULL REFERENCES apps (name),
    PRIMARY KEY (account, app),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE
);
CREATE INDEX app_administrators_by_app ON app_administrators (app);

-- Rights over Locum of plain people.
CREATE TABLE granted_rights (
    account BYTEA NOT NULL,
    person BIGINT NOT NULL CHECK (person = 1),
    granted TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, granted),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE
);

-- Keys of the admin API (A6): each acts as a person who runs Locum, within its scopes, which are separated by
-- spaces.
CREATE TABLE api_keys (
    public_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    person BIGINT NOT NULL CHECK (person = 1),
    name TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    pepper BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    revoked_reason TEXT COLLATE "C" REFERENCES reasons (code),
    last_used_at BIGINT,
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX api_keys_by_account ON api_keys (account);
INSERT INTO reasons (code, meaning) VALUES ('administration_ended', 'The person no longer runs Locum')
    ON CONFLICT (code) DO NOTHING;
