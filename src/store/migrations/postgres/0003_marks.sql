-- What an entry of the history is found by beside its columns (H2): `app:NAME` for each app that it
-- concerns, `asked:ACTOR` where Locum acted because somebody asked. All of it is said by the entry
-- itself; the rows of older entries are made from those when this is.
CREATE TABLE history_marks (
    mark TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (mark, sequence)
);
CREATE INDEX history_marks_by_sequence ON history_marks (sequence);
CREATE TRIGGER history_marks_are_not_changed BEFORE UPDATE OR DELETE ON history_marks
FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_marks_are_not_truncated BEFORE TRUNCATE ON history_marks
FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only();
