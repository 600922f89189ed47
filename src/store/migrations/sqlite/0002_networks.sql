-- The networks that an account is used from (L10), separated by spaces; empty for every one.
ALTER TABLE accounts ADD COLUMN networks TEXT NOT NULL DEFAULT '';
