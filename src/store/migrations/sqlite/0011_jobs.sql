-- Jobs: work that is saved under a name, with its options (JSON), and done by hand or by the clock (T9).
CREATE TABLE jobs (
    name TEXT NOT NULL PRIMARY KEY,
    process TEXT NOT NULL,
    options TEXT NOT NULL,
    schedule TEXT,
    zone TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    saved_by TEXT NOT NULL,
    next_at INTEGER,
    CHECK ((schedule IS NULL) = (next_at IS NULL))
) STRICT;

-- Runs of jobs. One without an outcome waits, or is held by whoever claimed it last: `fence` counts the claims, and only
-- the last one goes on. A claim is over at `lease_until`, whatever became of its holder.
CREATE TABLE job_runs (
    id INTEGER NOT NULL PRIMARY KEY,
    job TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
    asked_by TEXT NOT NULL,
    dry_run INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    asked_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    fence INTEGER NOT NULL,
    holder TEXT,
    lease_until INTEGER,
    reached TEXT NOT NULL,
    processed INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    report TEXT NOT NULL,
    outcome TEXT,
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX job_runs_by_job ON job_runs (job, id);
CREATE UNIQUE INDEX job_runs_open ON job_runs (job) WHERE outcome IS NULL;
