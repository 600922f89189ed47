-- There while a database is filled from another (C5): from which, and in which state that was. A database
-- that has it is a part, on which no gateway starts.
CREATE TABLE arrivals (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    installation BLOB NOT NULL CHECK (length(installation) = 16),
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
