-- name: create
-- A new cron trigger.
INSERT INTO sync_job_cron_triggers (
    id, sync_job_id, integrated_account_id, cron_expression, time_zone, args, error_handling, ignore_previous_run,
    enabled, next_run, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6::json, $7, $8, $9, $10, $11, $11)
RETURNING *;

-- name: page
-- The $2 cron triggers after the number $1, of job $3 and account $4 (null: all).
SELECT * FROM sync_job_cron_triggers
WHERE number > $1 AND ($3::uuid IS NULL OR sync_job_id = $3) AND ($4::uuid IS NULL OR integrated_account_id = $4)
ORDER BY number
LIMIT $2;

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
-- A trigger whose time has come at $1, kept from other workers until the transaction ends, with its job and account:
-- nobody else fires another one of them meanwhile. It waits while a run of both is active. The longest due comes first,
-- but one that reads everything counts as due for a day more: what the other one would read is in that.
SELECT t.*
FROM sync_job_cron_triggers AS t
JOIN sync_jobs AS j ON j.id = t.sync_job_id
JOIN integrated_accounts AS a ON a.id = t.integrated_account_id
WHERE t.next_run <= $1
    AND NOT EXISTS (
        SELECT FROM sync_job_runs AS r
        WHERE r.sync_job_id = t.sync_job_id AND r.integrated_account_id = t.integrated_account_id
            AND r.state IN ('queued', 'running')
    )
ORDER BY t.next_run - CASE WHEN t.ignore_previous_run THEN interval '1 day' ELSE interval '0' END, t.number
LIMIT 1
FOR NO KEY UPDATE OF t, j, a SKIP LOCKED;

-- name: fired
-- Trigger $1 has its next time at $2. It has made the run $3, or else $4 says why not.
UPDATE sync_job_cron_triggers
SET next_run = $2, last_run_id = coalesce($3, last_run_id), last_problem = $4
WHERE id = $1;

-- name: next_due
-- When the time of the next trigger comes that waits for no run's end; null: there is none.
SELECT min(t.next_run)
FROM sync_job_cron_triggers AS t
WHERE t.next_run IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM sync_job_runs AS r
        WHERE r.sync_job_id = t.sync_job_id AND r.integrated_account_id = t.integrated_account_id
            AND r.state IN ('queued', 'running')
    );
