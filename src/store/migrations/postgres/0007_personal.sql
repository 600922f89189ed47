-- The keys under which personal data are sealed, wrapped under a version of the master key, which does not
-- stand here. A person's has the id of the account; when its row goes, so does all that it sealed.
CREATE TABLE data_keys (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    master BIGINT NOT NULL CHECK (master >= 1),
    wrapped BYTEA NOT NULL
);
CREATE INDEX data_keys_by_master ON data_keys (master);

-- What is known of people, sealed for this row. `digest` is a keyed hash by which an address is found, and
-- of which there is one for each address.
CREATE TABLE personal (
    account BYTEA NOT NULL,
    person BIGINT NOT NULL CHECK (person = 1),
    field TEXT COLLATE "C" NOT NULL CHECK (field IN ('name', 'email', 'phone')),
    sealed BYTEA NOT NULL,
    digest BYTEA UNIQUE CHECK (length(digest) = 32),
    PRIMARY KEY (account, field),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE,
    CHECK ((field = 'email') = (digest IS NOT NULL))
);
