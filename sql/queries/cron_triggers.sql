-- name: create
-- A new cron trigger.
INSERT INTO sync_job_cron_triggers (
    id, sync_job_id, integrated_account_id, cron_expression, time_zone, args, error_handling, ignore_previous_run,
    enabled, next_run, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6::json, $7, $8, $9, $10, $11, $11)
RETURNING *;

-- name: page
-- The $2 cron triggers after the number $1.
SELECT * FROM sync_job_cron_triggers WHERE number > $1 ORDER BY number LIMIT $2;

-- name: find
-- One cron trigger.
SELECT * FROM sync_job_cron_triggers WHERE id = $1;

-- name: lock
-- One cron trigger, kept as it is until the transaction ends.
SELECT * FROM sync_job_cron_triggers WHERE id = $1 FOR UPDATE;

-- name: change
-- Cron trigger $1 as it is from $9 on.
UPDATE sync_job_cron_triggers
SET cron_expression = $2, time_zone = $3, args = $4::json, error_handling = $5, ignore_previous_run = $6, enabled = $7,
    next_run = $8, last_problem = NULL, updated_at = $9
WHERE id = $1
RETURNING *;

-- name: delete
-- Delete cron trigger $1; its runs stay.
DELETE FROM sync_job_cron_triggers WHERE id = $1 RETURNING id;

-- name: due
-- A trigger whose time has come at $1, kept from other workers until the transaction ends.
SELECT * FROM sync_job_cron_triggers
WHERE next_run <= $1
ORDER BY next_run
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: fired
-- Trigger $1 has its next time at $2. It has made the run $3, or else $4 says why not.
UPDATE sync_job_cron_triggers
SET next_run = $2, last_run_id = coalesce($3, last_run_id), last_problem = $4
WHERE id = $1;

-- name: next_due
-- When the next trigger's time comes; null: there is none.
SELECT min(next_run) FROM sync_job_cron_triggers WHERE next_run IS NOT NULL;
