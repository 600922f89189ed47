-- From where, and for which app, a token was last used (T8).
ALTER TABLE pats ADD COLUMN last_used_address TEXT COLLATE "C";
ALTER TABLE pats ADD COLUMN last_used_app TEXT COLLATE "C";
