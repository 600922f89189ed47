-- What people are called in apps (U5), sealed under the key of the person. One name an app and a person, one
-- person an app and a name. `imported` names go back to the list of the app when they are free again.
CREATE TABLE legacy_names (
    account BLOB NOT NULL,
    person INTEGER NOT NULL CHECK (person = 1),
    app TEXT NOT NULL REFERENCES apps (name),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    sealed BLOB NOT NULL,
    imported INTEGER NOT NULL CHECK (imported IN (0, 1)),
    PRIMARY KEY (account, app),
    UNIQUE (app, digest),
    FOREIGN KEY (account, person) REFERENCES accounts (id, person) ON DELETE CASCADE
) STRICT;

-- Names of an app that belong to nobody yet, sealed under a key of the app.
CREATE TABLE imported_names (
    app TEXT NOT NULL REFERENCES apps (name),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    sealed BLOB NOT NULL,
    PRIMARY KEY (app, digest)
) STRICT;
