-- name: ring
-- The bell for the workers, heard when the transaction commits.
SELECT pg_notify('rooster_sources', '');

-- name: create
-- A new run, and the bell for the workers; nothing while one of the same job and account has not ended.
WITH created AS (
    INSERT INTO sync_job_runs (
        id, sync_job_id, integrated_account_id, cron_trigger_id, args, resources, error_handling,
        ignore_previous_run, confirm, created_at, digest
    )
    VALUES ($1, $2, $3, $4, $5::json, $6::json, $7, $8, $9, $10, sha256(convert_to($5::text || $6::text, 'UTF8')))
    ON CONFLICT (sync_job_id, integrated_account_id) WHERE state IN ('queued', 'running') DO NOTHING
    RETURNING *
)
SELECT created.*, pg_notify('rooster_sources', '') FROM created;

-- name: page
-- The $2 runs before the number $1, the latest first, of job $3 and account $4 (null: all). Without their arguments,
-- which may be long.
SELECT
    number, id, sync_job_id, integrated_account_id, cron_trigger_id, NULL AS args, error_handling, ignore_previous_run,
    confirm, state, detail, previous_run_date, counts, attempts, created_at, started_at, finished_at
FROM sync_job_runs
WHERE number < $1 AND ($3::uuid IS NULL OR sync_job_id = $3)
    AND ($4::uuid IS NULL OR integrated_account_id = $4)
ORDER BY number DESC
LIMIT $2;

-- name: find
-- One run.
SELECT * FROM sync_job_runs WHERE id = $1;

-- name: errors
-- What went wrong in run $1, the first $2.
SELECT kind, detail, resource, place, username FROM sync_job_run_errors
WHERE run_id = $1
ORDER BY number
LIMIT $2;

-- name: active
-- A run of job $1 or of account $2 (null: any) that has not ended.
SELECT id FROM sync_job_runs
WHERE state IN ('queued', 'running')
    AND ($1::uuid IS NULL OR sync_job_id = $1) AND ($2::uuid IS NULL OR integrated_account_id = $2)
ORDER BY number
LIMIT 1;

-- name: cancel
-- Run $1 is to end at $2: at once where no worker has it, else its worker is told.
WITH asked AS (
    UPDATE sync_job_runs
    SET cancelling = true,
        state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
        finished_at = CASE WHEN state = 'queued' THEN $2::timestamptz END
    WHERE id = $1 AND state IN ('queued', 'running')
    RETURNING id
)
SELECT pg_notify('rooster_sources', id::text) FROM asked;

-- name: claim
-- Worker $1 takes up to $2 runs that wait, or whose worker was not heard of for the length of its lease, for $4
-- seconds from now. $3: the present, for the run's own times.
WITH waiting AS (
    SELECT id FROM sync_job_runs
    WHERE state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp())
    ORDER BY number
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE sync_job_runs AS r
SET state = 'running', owner = $1, fence = nextval('sync_job_fences'),
    lease_until = clock_timestamp() + make_interval(secs => $4), attempts = r.attempts + 1,
    started_at = $3, counts = '{}', detail = NULL
FROM waiting
WHERE r.id = waiting.id
RETURNING r.*;

-- name: begin_anew
-- Forget what earlier attempts of run $1 have noted.
WITH errors AS (
    DELETE FROM sync_job_run_errors WHERE run_id = $1
)
DELETE FROM sync_job_run_users WHERE run_id = $1;

-- name: next_lease
-- When the first lease of somebody else's run ends, and the run can be taken over; null: there is none.
SELECT min(lease_until) - clock_timestamp() FROM sync_job_runs WHERE state = 'running' AND owner <> $1;

-- name: previous
-- The latest run before run $1 that it can go on from: of the same job and account, with the same arguments and
-- resources, with nothing left out, and begun after the account was last changed.
SELECT p.started_at
FROM sync_job_runs AS r
JOIN integrated_accounts AS a ON a.id = r.integrated_account_id
JOIN sync_job_runs AS p
    ON p.sync_job_id = r.sync_job_id AND p.integrated_account_id = r.integrated_account_id AND p.number < r.number
WHERE r.id = $1 AND p.state = 'done' AND p.clean AND p.started_at >= a.updated_at
    AND p.digest = r.digest
ORDER BY p.number DESC
LIMIT 1;

-- name: set_previous
-- Run $1 asks for what has changed since $2.
UPDATE sync_job_runs SET previous_run_date = $2 WHERE id = $1;

-- name: extend
-- Worker $1 keeps the runs $2 for another $3 seconds; returns those it still owns, and whether they are to end.
UPDATE sync_job_runs
SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = ANY($2::uuid[]) AND owner = $1 AND state = 'running'
RETURNING id, cancelling;

-- name: hold
-- Run $1 with the fence $2, if its lease still holds, kept from ending until the transaction does.
SELECT id FROM sync_job_runs
WHERE id = $1 AND fence = $2 AND state = 'running' AND lease_until > clock_timestamp()
FOR SHARE;

-- name: progress
-- How far run $1 (fence $2) is, and what it is doing.
UPDATE sync_job_runs SET counts = $3::json, detail = $4 WHERE id = $1 AND fence = $2 AND state = 'running';

-- name: finish
-- Run $1 (fence $2) has ended as $3 at $4; $7: nothing was left out. And the bell: a trigger may wait for that.
WITH ended AS (
    UPDATE sync_job_runs
    SET state = $3, finished_at = $4, counts = $5::json, detail = $6, clean = $7, owner = NULL, lease_until = NULL
    WHERE id = $1 AND fence = $2 AND state = 'running'
    RETURNING id
)
SELECT id, pg_notify('rooster_sources', '') FROM ended;

-- name: give_back
-- Run $1 (fence $2) waits again for a worker; what was read so far is read anew, and this was no attempt.
WITH given AS (
    UPDATE sync_job_runs
    SET state = 'queued', owner = NULL, lease_until = NULL, attempts = attempts - 1, detail = NULL
    WHERE id = $1 AND fence = $2 AND state = 'running'
    RETURNING id
)
SELECT pg_notify('rooster_sources', '') FROM given;

-- name: add_errors
-- Note what went wrong in run $1.
INSERT INTO sync_job_run_errors (run_id, kind, detail, resource, place, username)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]);

-- name: add_users
-- Run $1 has something to say about the users $2; $3: it could not read everything of theirs.
INSERT INTO sync_job_run_users AS u (run_id, username, incomplete)
SELECT DISTINCT $1::uuid, username, $3::boolean FROM unnest($2::text[]) AS given (username)
ORDER BY username
ON CONFLICT (run_id, username) DO UPDATE SET incomplete = true
WHERE excluded.incomplete AND NOT u.incomplete;

-- name: count_users
-- How many users run $1 has something to say about.
SELECT count(*) FROM sync_job_run_users WHERE run_id = $1;

-- name: users_to_apply
-- The $3 users of run $1 after the name $2.
SELECT username, incomplete FROM sync_job_run_users
WHERE run_id = $1 AND username > $2
ORDER BY username
LIMIT $3;

-- name: prune
-- Forget up to $2 runs that ended before $1; gives their number. The latest clean one of each job and account stays:
-- the next run goes on from it.
WITH pruned AS (
    DELETE FROM sync_job_runs
    WHERE id IN (
        SELECT id FROM sync_job_runs AS r
        WHERE finished_at < $1 AND NOT (clean AND NOT EXISTS (
            SELECT FROM sync_job_runs AS later
            WHERE later.sync_job_id = r.sync_job_id AND later.integrated_account_id = r.integrated_account_id
                AND later.number > r.number AND later.clean
        ))
        LIMIT $2
    )
    RETURNING id
)
SELECT count(*) FROM pruned;
