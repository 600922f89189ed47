-- Which installation this is: what is signed about its history names it, so that it cannot be taken for
-- another's (H5).
CREATE TABLE installation (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16)
) STRICT;
INSERT INTO installation (id, uuid) VALUES (1, randomblob(16));
