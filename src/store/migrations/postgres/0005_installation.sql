-- Which installation this is: what is signed about its history names it, so that it cannot be taken for
-- another's (H5).
CREATE TABLE installation (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    uuid BYTEA NOT NULL CHECK (length(uuid) = 16)
);
INSERT INTO installation (id, uuid) VALUES (1, uuid_send(gen_random_uuid()));
