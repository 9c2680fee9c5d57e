-- name: lock
-- Only one machine migrates at a time; the others wait here. Held by the session until unlocked.
SELECT pg_advisory_lock(hashtextextended('rooster schema_migrations', 0));

-- name: take_time
-- Let this session's transactions take as long as they need: a migration may rewrite a large table. For servers before
-- PostgreSQL 17, which do not have this limit, it does nothing.
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';

-- name: unlock
-- The next machine may look.
SELECT pg_advisory_unlock(hashtextextended('rooster schema_migrations', 0));

-- name: exists
-- Whether this database has ever been migrated.
SELECT to_regclass('schema_migrations') IS NOT NULL;

-- name: create
-- The record of what has been applied.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,                     -- SHA-256 of the migration's text
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: applied
-- What has been applied, oldest first.
SELECT version, name, checksum FROM schema_migrations ORDER BY version;

-- name: record
-- In the migration's own transaction: it is applied.
INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3);
