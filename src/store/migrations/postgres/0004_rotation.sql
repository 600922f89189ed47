-- Which token a token takes the place of, and on which terms: milliseconds (T7).
ALTER TABLE pats ADD COLUMN replaces TEXT COLLATE "C";
ALTER TABLE pats ADD COLUMN overlap BIGINT;
ALTER TABLE pats ADD COLUMN silence BIGINT;
-- When a token ends because another took its place.
ALTER TABLE pats ADD COLUMN retires_at BIGINT;
CREATE INDEX pats_by_replaced ON pats (replaces) WHERE replaces IS NOT NULL;
CREATE INDEX pats_retiring ON pats (retires_at) WHERE retires_at IS NOT NULL AND revoked_at IS NULL;
