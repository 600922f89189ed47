-- Of the warnings before a token expires, the last one that was given: so many days before (T11).
ALTER TABLE pats ADD COLUMN warned_days INTEGER;
CREATE INDEX pats_by_expiry ON pats (expires_at) WHERE revoked_at IS NULL;
