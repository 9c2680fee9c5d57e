-- Each record of a source knows what kind of run has last read it, also when that run is forgotten.

ALTER TABLE source_records
ADD COLUMN digest bytea;                         -- sync_job_runs.digest of the run that has last read it

UPDATE source_records AS s
SET digest = r.digest
FROM sync_job_runs AS r
WHERE r.fence = s.seen;

ALTER TABLE sync_job_run_users
DROP COLUMN applied;
