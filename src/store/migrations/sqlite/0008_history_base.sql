-- After which entry the history begins that is kept here: what came before was moved to the archive (H7). `signed` is
-- what the installation says of it, and what a verification goes by.
CREATE TABLE history_base (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    signed TEXT NOT NULL
) STRICT;
CREATE TRIGGER history_base_is_an_entry BEFORE INSERT ON history_base
WHEN NOT EXISTS (SELECT 1 FROM history WHERE sequence = NEW.sequence AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the history begins after one of its entries'); END;
CREATE TRIGGER history_base_moves_forward BEFORE UPDATE ON history_base
WHEN NEW.sequence <= OLD.sequence
    OR NOT EXISTS (SELECT 1 FROM history WHERE sequence = NEW.sequence AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the history begins after one of its entries, and a later one each time'); END;
CREATE TRIGGER history_base_is_not_deleted BEFORE DELETE ON history_base
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;

-- Only what stands before that is removed.
DROP TRIGGER history_is_not_deleted;
CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history
WHEN OLD.sequence > COALESCE((SELECT sequence FROM history_base WHERE id = 1), 0)
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
DROP TRIGGER history_marks_are_not_deleted;
CREATE TRIGGER history_marks_are_not_deleted BEFORE DELETE ON history_marks
WHEN OLD.sequence > COALESCE((SELECT sequence FROM history_base WHERE id = 1), 0)
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
