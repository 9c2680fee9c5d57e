-- name: lock
-- Nobody else changes what is set, until the transaction ends; who holds it still is waited for.
SELECT pg_advisory_xact_lock(hashtextextended('preferences', 3));

-- name: hold
-- What is set stays as it is until the transaction ends.
SELECT pg_advisory_xact_lock_shared(hashtextextended('preferences', 3));

-- name: reached_from_installation
-- The current synchronizations that a value of the installation ($1: default) can reach.
SELECT id FROM synchronizations WHERE unlinked_at IS NULL AND $1 = 'default';

-- name: reached_from_type
-- The current synchronizations that a value of type $1 can reach.
SELECT id FROM synchronizations WHERE unlinked_at IS NULL AND type = $1;

-- name: reached_from_role
-- The current synchronizations that a value of role $1 can reach.
SELECT s.id FROM synchronizations AS s
JOIN users AS u ON u.username = s.username
WHERE s.unlinked_at IS NULL AND $1 = ANY(u.roles);

-- name: reached_from_user
-- The current synchronizations that a value of user $1 can reach.
SELECT id FROM synchronizations WHERE unlinked_at IS NULL AND username = $1;

-- name: reached_from_synchronization
-- Synchronization $1, if it is a current one.
SELECT id FROM synchronizations WHERE unlinked_at IS NULL AND id = $1::text::bigint;

-- name: out_of_date
-- Which of the synchronizations $1 are kept with other preferences than those in effect, and with which they should be.
SELECT s.id, p.preferences::text AS preferences FROM synchronizations AS s
JOIN preferences_in_effect($1::bigint[]) AS p ON p.synchronization_id = s.id
WHERE s.preferences IS DISTINCT FROM p.preferences;

-- name: keep
-- The synchronizations $1 are kept with the preferences $2; returns the mailboxes of those that are enabled.
WITH kept AS (
    UPDATE synchronizations AS s SET preferences = p.preferences::jsonb
    FROM unnest($1::bigint[], $2::text[]) AS p (id, preferences)
    WHERE s.id = p.id
    RETURNING s.mailbox_id, s.enabled
)

SELECT DISTINCT mailbox_id FROM kept WHERE enabled;

-- name: is_builtin
-- Whether the description $1 is one of Rooster's own, which the push obeys.
SELECT EXISTS (SELECT FROM preference_descriptions WHERE id = $1 AND is_builtin);
