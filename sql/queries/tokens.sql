-- name: create
-- A new token, by its hash; nothing if the name is taken.
INSERT INTO api_tokens (name, role, hash) VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: find
-- Whose token this is, by its hash.
SELECT name, role FROM api_tokens WHERE hash = $1;

-- name: list
-- All tokens by name.
SELECT name, role, created_at FROM api_tokens ORDER BY name;

-- name: revoke
-- The token is not valid any more.
DELETE FROM api_tokens WHERE name = $1 RETURNING name;
