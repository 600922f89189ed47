-- After which entry the history begins that is kept here: what came before was moved to the archive (H7). `signed` is
-- what the installation says of it, and what a verification goes by.
CREATE TABLE history_base (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL CHECK (sequence > 0),
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    signed TEXT COLLATE "C" NOT NULL
);
CREATE FUNCTION history_base_moves_forward() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM history h WHERE h.sequence = NEW.sequence AND h.hash = NEW.hash) THEN
        RAISE EXCEPTION 'the history begins after one of its entries';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.sequence <= OLD.sequence THEN
        RAISE EXCEPTION 'the history begins after a later entry each time';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER history_base_moves_forward BEFORE INSERT OR UPDATE ON history_base
FOR EACH ROW EXECUTE FUNCTION history_base_moves_forward();
CREATE TRIGGER history_base_is_not_deleted BEFORE DELETE ON history_base
FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_base_is_not_truncated BEFORE TRUNCATE ON history_base
FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only();

-- Only what stands before that is removed.
CREATE FUNCTION history_is_kept_from_its_base() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF OLD.sequence > COALESCE((SELECT b.sequence FROM history_base b WHERE b.id = 1), 0) THEN
        RAISE EXCEPTION 'the history is append-only';
    END IF;
    RETURN OLD;
END $$;
DROP TRIGGER history_is_not_changed ON history;
CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history
FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history
FOR EACH ROW EXECUTE FUNCTION history_is_kept_from_its_base();
DROP TRIGGER history_marks_are_not_changed ON history_marks;
CREATE TRIGGER history_marks_are_not_changed BEFORE UPDATE ON history_marks
FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_marks_are_not_deleted BEFORE DELETE ON history_marks
FOR EACH ROW EXECUTE FUNCTION history_is_kept_from_its_base();
