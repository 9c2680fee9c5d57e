-- name: create
-- A new integrated account.
INSERT INTO integrated_accounts
    (id, integration_name, base_url, credentials, settings, environment_id, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5::json, $6, $7, $7)
RETURNING *;

-- name: page
-- The $2 integrated accounts after the number $1, of the environment $3 (null: all).
SELECT * FROM integrated_accounts WHERE number > $1 AND ($3::text IS NULL OR environment_id = $3) ORDER BY number LIMIT $2;

-- name: find
-- One integrated account.
SELECT * FROM integrated_accounts WHERE id = $1;

-- name: lock
-- One integrated account, kept as it is until the transaction ends.
SELECT * FROM integrated_accounts WHERE id = $1 FOR UPDATE;

-- name: change
-- Integrated account $1 as it is from $6 on.
UPDATE integrated_accounts
SET base_url = $2, credentials = $3, settings = $4::json, environment_id = $5, updated_at = $6
WHERE id = $1
RETURNING *;

-- name: delete
-- Delete integrated account $1 with everything that hangs on it.
DELETE FROM integrated_accounts WHERE id = $1;
