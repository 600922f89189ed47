-- The level of those who run Locum (A1); only people have one (P14). Inactive is the administration, not
-- the account.
CREATE TABLE administrators (
    account BLOB NOT NULL PRIMARY KEY,
    person INTEGER NOT NULL CHECK (person = 1),
    level TEXT NOT NULL CHECK (level IN ('administrator', 'super_administrator')),
    inactive_at INTEGER,
    inactive_by TEXT,
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE,
    CHECK ((inactive_at IS NULL) = (inactive_by IS NULL))
) STRICT;

-- Administrators of one app (R5).
CREATE TABLE app_administrators (
    account BLOB NOT NULL,
    person INTEGER NOT NULL CHECK (person = 1),
    app TEXT NOT NULL REFERENCES apps (name),
    PRIMARY KEY (account, app),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE
) STRICT;
CREATE INDEX app_administrators_by_app ON app_administrators (app);

-- Rights over Locum of plain people.
CREATE TABLE granted_rights (
    account BLOB NOT NULL,
    person INTEGER NOT NULL CHECK (person = 1),
    granted TEXT NOT NULL,
    PRIMARY KEY (account, granted),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE
) STRICT;

-- Keys of the admin API (A6): each acts as a person who runs Locum, within its scopes, which are separated by
-- spaces.
CREATE TABLE api_keys (
    public_id TEXT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    person INTEGER NOT NULL CHECK (person = 1),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    pepper INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    revoked_reason TEXT REFERENCES reasons (code),
    last_used_at INTEGER,
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;
CREATE INDEX api_keys_by_account ON api_keys (account);
INSERT INTO reasons (code, meaning) VALUES ('administration_ended', 'The person no longer runs Locum')
    ON CONFLICT (code) DO NOTHING;
