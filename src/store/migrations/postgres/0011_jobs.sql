-- Jobs: work that is saved under a name, with its options (JSON), and done by hand or by the clock (T9).
CREATE TABLE jobs (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    process TEXT COLLATE "C" NOT NULL,
    options TEXT COLLATE "C" NOT NULL,
    schedule TEXT COLLATE "C",
    zone TEXT COLLATE "C" NOT NULL,
    saved_at BIGINT NOT NULL,
    saved_by TEXT COLLATE "C" NOT NULL,
    next_at BIGINT,
    CHECK ((schedule IS NULL) = (next_at IS NULL))
);

-- Runs of jobs. One without an outcome waits, or is held by whoever claimed it last: `fence` counts the claims, and only
-- the last one goes on. A claim is over at `lease_until`, whatever became of its holder.
CREATE TABLE job_runs (
    id BIGINT NOT NULL PRIMARY KEY,
    job TEXT COLLATE "C" NOT NULL REFERENCES jobs (name) ON DELETE CASCADE,
    asked_by TEXT COLLATE "C" NOT NULL,
    dry_run BIGINT NOT NULL CHECK (dry_run IN (0, 1)),
    asked_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    fence BIGINT NOT NULL,
    holder TEXT COLLATE "C",
    lease_until BIGINT,
    reached TEXT COLLATE "C" NOT NULL,
    processed BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    report TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C",
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX job_runs_by_job ON job_runs (job, id);
CREATE UNIQUE INDEX job_runs_open ON job_runs (job) WHERE outcome IS NULL;
