-- What an entry of the history is found by beside its columns (H2): `app:NAME` for each app that it
-- concerns, `asked:ACTOR` where Locum acted because somebody asked. All of it is said by the entry
-- itself; the rows of older entries are made from those when this is.
CREATE TABLE history_marks (
    mark TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (mark, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_marks_by_sequence ON history_marks (sequence);
CREATE TRIGGER history_marks_are_not_changed BEFORE UPDATE ON history_marks
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER history_marks_are_not_deleted BEFORE DELETE ON history_marks
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
