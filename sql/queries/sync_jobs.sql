-- name: create
-- A new sync job.
INSERT INTO sync_jobs (id, integration_name, args_schema, resources, environment_id, created_at, updated_at)
VALUES ($1, $2, $3::json, $4::json, $5, $6, $6)
RETURNING *;

-- name: page
-- The $2 sync jobs after the number $1, of the environment $3 (null: all).
SELECT * FROM sync_jobs WHERE number > $1 AND ($3::text IS NULL OR environment_id = $3) ORDER BY number LIMIT $2;

-- name: find
-- One sync job.
SELECT * FROM sync_jobs WHERE id = $1;

-- name: lock
-- One sync job, kept as it is until the transaction ends.
SELECT * FROM sync_jobs WHERE id = $1 FOR UPDATE;

-- name: change
-- Sync job $1 as it is from $6 on.
UPDATE sync_jobs
SET integration_name = $2, args_schema = $3::json, resources = $4::json, environment_id = $5, updated_at = $6
WHERE id = $1
RETURNING *;

-- name: delete
-- Delete sync job $1 with everything that hangs on it.
DELETE FROM sync_jobs WHERE id = $1;
