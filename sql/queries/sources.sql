-- name: create_job
-- A new sync job.
INSERT INTO sync_jobs (id, integration_name, args_schema, resources, environment_id, created_at, updated_at)
VALUES ($1, $2, $3::json, $4::json, $5, $6, $6)
RETURNING *;

-- name: jobs
-- The $2 sync jobs after the number $1.
SELECT * FROM sync_jobs WHERE number > $1 ORDER BY number LIMIT $2;

-- name: job
-- One sync job.
SELECT * FROM sync_jobs WHERE id = $1;

-- name: lock_job
-- One sync job, kept as it is until the transaction ends.
SELECT * FROM sync_jobs WHERE id = $1 FOR UPDATE;

-- name: change_job
-- Sync job $1 as it is from $6 on.
UPDATE sync_jobs
SET integration_name = $2, args_schema = $3::json, resources = $4::json, environment_id = $5, updated_at = $6
WHERE id = $1
RETURNING *;

-- name: delete_job
-- Delete sync job $1 with everything that hangs on it.
DELETE FROM sync_jobs WHERE id = $1;

-- name: active_run
-- A run of job $1 or of account $2 (null: any) that has not ended.
SELECT id FROM sync_job_runs
WHERE state IN ('queued', 'running')
    AND ($1::uuid IS NULL OR sync_job_id = $1) AND ($2::uuid IS NULL OR integrated_account_id = $2)
ORDER BY number
LIMIT 1;

-- name: create_account
-- A new integrated account.
INSERT INTO integrated_accounts
    (id, integration_name, base_url, credentials, settings, environment_id, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5::json, $6, $7, $7)
RETURNING *;

-- name: accounts
-- The $2 integrated accounts after the number $1.
SELECT * FROM integrated_accounts WHERE number > $1 ORDER BY number LIMIT $2;

-- name: account
-- One integrated account.
SELECT * FROM integrated_accounts WHERE id = $1;

-- name: lock_account
-- One integrated account, kept as it is until the transaction ends.
SELECT * FROM integrated_accounts WHERE id = $1 FOR UPDATE;

-- name: change_account
-- Integrated account $1 as it is from $6 on.
UPDATE integrated_accounts
SET base_url = $2, credentials = $3, settings = $4::json, environment_id = $5, updated_at = $6
WHERE id = $1
RETURNING *;

-- name: delete_account
-- Delete integrated account $1 with everything that hangs on it.
DELETE FROM integrated_accounts WHERE id = $1;

-- name: create_trigger
-- A new cron trigger.
INSERT INTO sync_job_cron_triggers (
    id, sync_job_id, integrated_account_id, cron_expression, time_zone, args, error_handling, ignore_previous_run,
    enabled, next_run, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6::json, $7, $8, $9, $10, $11, $11)
RETURNING *;

-- name: triggers
-- The $2 cron triggers after the number $1.
SELECT * FROM sync_job_cron_triggers WHERE number > $1 ORDER BY number LIMIT $2;

-- name: trigger
-- One cron trigger.
SELECT * FROM sync_job_cron_triggers WHERE id = $1;

-- name: lock_trigger
-- One cron trigger, kept as it is until the transaction ends.
SELECT * FROM sync_job_cron_triggers WHERE id = $1 FOR UPDATE;

-- name: change_trigger
-- Cron trigger $1 as it is from $9 on.
UPDATE sync_job_cron_triggers
SET cron_expression = $2, time_zone = $3, args = $4::json, error_handling = $5, ignore_previous_run = $6, enabled = $7,
    next_run = $8, last_problem = NULL, updated_at = $9
WHERE id = $1
RETURNING *;

-- name: delete_trigger
-- Delete cron trigger $1; its runs stay.
DELETE FROM sync_job_cron_triggers WHERE id = $1 RETURNING id;

-- name: ring
-- The bell for the workers, heard when the transaction commits.
SELECT pg_notify('rooster_sources', '');

-- name: due_trigger
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

-- name: create_run
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

-- name: runs
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

-- name: run
-- One run.
SELECT * FROM sync_job_runs WHERE id = $1;

-- name: run_errors
-- What went wrong in run $1, the first $2.
SELECT kind, detail, resource, place, username FROM sync_job_run_errors
WHERE run_id = $1
ORDER BY number
LIMIT $2;

-- name: cancel_run
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
-- Run $1 goes on from the run that began at $2.
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
-- Run $1 (fence $2) has ended as $3 at $4; $7: nothing was left out.
UPDATE sync_job_runs
SET state = $3, finished_at = $4, counts = $5::json, detail = $6, clean = $7, owner = NULL, lease_until = NULL
WHERE id = $1 AND fence = $2 AND state = 'running'
RETURNING id;

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

-- name: add_records
-- What resource $3 of job $1 and account $2 gave to the run with the fence $4; $5 .. $8 one array a column.
INSERT INTO source_records AS r
    (sync_job_id, integrated_account_id, resource, seen, username, id, data, event)
SELECT $1, $2, $3, $4, g.username, g.id, g.data::json, g.event::json
FROM unnest($5::text[], $6::text[], $7::text[], $8::text[]) AS g (username, id, data, event)
ON CONFLICT (sync_job_id, integrated_account_id, username, resource, id)
DO UPDATE SET data = excluded.data, event = excluded.event, seen = excluded.seen;

-- name: keep_records
-- The records of the users $5 that resource $3 of job $1 and account $2 gave to the run with the fence $6, and what was
-- remembered with them under the key $7, are taken for read by the run with the fence $4; gives their number.
WITH remembered AS (
    UPDATE source_validators SET seen = $4
    WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND key = $7 AND seen = $6
),
kept AS (
    UPDATE source_records SET seen = $4
    WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND username = ANY($5::text[])
        AND seen = $6
    RETURNING id
)
SELECT count(*) FROM kept;

-- name: recall
-- What resource $3 of job $1 and account $2 remembers under the key $4, and by which run. Only while job and account are
-- what they were, and every record of the users $5 that was read then is still there as it was.
SELECT v.content::text AS content, v.seen
FROM source_validators AS v
JOIN sync_jobs AS j ON j.id = v.sync_job_id
JOIN integrated_accounts AS a ON a.id = v.integrated_account_id
WHERE v.sync_job_id = $1 AND v.integrated_account_id = $2 AND v.resource = $3 AND v.key = $4
    AND v.made_at >= j.updated_at AND v.made_at >= a.updated_at
    AND v.records = (
        SELECT count(*) FROM source_records AS r
        WHERE r.sync_job_id = $1 AND r.integrated_account_id = $2 AND r.resource = $3
            AND r.username = ANY($5::text[]) AND r.seen = v.seen
    );

-- name: remember
-- Resource $3 of job $1 and account $2 remembers $5 under the key $4, with the records of the users $7 that it has given
-- to the run with the fence $6, made at $8.
INSERT INTO source_validators
    (sync_job_id, integrated_account_id, resource, key, content, seen, records, made_at)
SELECT $1, $2, $3, $4, $5::json, $6, count(*), $8
FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND username = ANY($7::text[]) AND seen = $6
ON CONFLICT (sync_job_id, integrated_account_id, resource, key) DO UPDATE
SET content = excluded.content, seen = excluded.seen, records = excluded.records, made_at = excluded.made_at;

-- name: forget_remembered
-- Forget what the run with the fence $1 has remembered: not all of it was applied.
DELETE FROM source_validators WHERE seen = $1;

-- name: add_vanished
-- Users of whom earlier runs with run $1's arguments and resources were the last to read something, and this one has
-- read nothing, have no events any more, as far as the source says.
INSERT INTO sync_job_run_users (run_id, username, incomplete)
SELECT DISTINCT r.id, s.username, false
FROM sync_job_runs AS r
JOIN sync_job_runs AS p
    ON p.sync_job_id = r.sync_job_id AND p.integrated_account_id = r.integrated_account_id AND p.id <> r.id
    AND p.digest = r.digest
JOIN source_records AS s
    ON s.seen = p.fence
    AND s.sync_job_id = r.sync_job_id AND s.integrated_account_id = r.integrated_account_id
WHERE r.id = $1 AND s.username <> ''
ON CONFLICT DO NOTHING;

-- name: emptied
-- Of the users whom run $1 (fence $2) may take events from: how many had records before, and how many of those
-- have none any more.
SELECT count(*) FILTER (WHERE known.before) AS known, count(*) FILTER (WHERE known.before AND NOT known.now) AS emptied
FROM sync_job_run_users AS u
JOIN sync_job_runs AS r ON r.id = u.run_id,
LATERAL (
    SELECT count(*) > 0 AS before, coalesce(bool_or(s.seen = $2 AND s.event IS NOT NULL), false) AS now
    FROM source_records AS s
    WHERE s.sync_job_id = r.sync_job_id AND s.integrated_account_id = r.integrated_account_id
        AND s.username = u.username
) AS known
WHERE u.run_id = $1 AND NOT u.incomplete;

-- name: users_to_apply
-- The $3 users of run $1 after the name $2.
SELECT username, incomplete FROM sync_job_run_users
WHERE run_id = $1 AND username > $2
ORDER BY username
LIMIT $3;

-- name: count_users
-- How many users run $1 has something to say about.
SELECT count(*) FROM sync_job_run_users WHERE run_id = $1;

-- name: events_to_apply
-- The events of the users $3 that the run of job $1 and account $2 with the fence $4 has read.
SELECT username, resource, event::text
FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND username = ANY($3::text[]) AND seen = $4
    AND event IS NOT NULL
ORDER BY username, resource, id;

-- name: drop_unseen
-- Forget the records of the users $3 that the run of job $1 and account $2 with the fence $4 has not read: they are
-- gone from the source, and now from the timetables.
DELETE FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND username = ANY($3::text[]) AND seen <> $4;

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
