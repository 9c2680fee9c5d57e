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

-- name: find
-- What is set of a preference (section $3, key $4, compared without regard to case) for owner $2 at level $1; no row where
-- role $5 may not read it.
SELECT v.level::text AS level, v.owner, d.section, d.key, v.value::text AS value
FROM preference_values AS v
JOIN preference_descriptions AS d ON d.id = v.description_id
WHERE v.level = $1::text::preference_level AND v.owner = $2
    AND lower(d.section COLLATE "C") = lower($3 COLLATE "C") AND lower(d.key COLLATE "C") = lower($4 COLLATE "C")
    AND d.access_flags -> $5::text ? 'read';

-- name: all
-- All that is set for owner $2 at level $1, of what role $3 may read, in the order of showing.
SELECT v.level::text AS level, v.owner, d.section, d.key, v.value::text AS value
FROM preference_values AS v
JOIN preference_descriptions AS d ON d.id = v.description_id
WHERE v.level = $1::text::preference_level AND v.owner = $2 AND d.access_flags -> $3::text ? 'read'
ORDER BY d.section, d.rank, d.key;

-- name: put
-- Preference $1 has the value $4 for owner $3 at level $2 from now on; returns whether it had none.
INSERT INTO preference_values AS v (description_id, level, owner, value)
VALUES ($1, $2::text::preference_level, $3, $4::text::jsonb)
ON CONFLICT (level, owner, description_id) DO UPDATE SET value = excluded.value
RETURNING v.xmax = 0;

-- name: remove
-- Preference $1 is not set any more for owner $3 at level $2; nothing is returned if it was not.
DELETE FROM preference_values
WHERE description_id = $1 AND level = $2::text::preference_level AND owner = $3
RETURNING true;

-- name: effective
-- Of every preference that role $2 may read: what is in effect for user $1 (no synchronization), then what is for each
-- of the current synchronizations. Level and owner are null where the default is.
WITH subjects AS (
    SELECT NULL::bigint AS id, NULL::text AS type
    UNION ALL
    SELECT id, type FROM current_synchronizations WHERE username = $1
),

closest AS (
    SELECT * FROM closest_values((SELECT array_agg(id) FILTER (WHERE id IS NOT NULL) FROM subjects), $1)
)

SELECT
    d.section, d.key, s.id AS synchronization, s.type, c.level::text AS level, c.owner,
    coalesce(c.value, d.default_value, 'null')::text AS value
FROM preference_descriptions AS d
CROSS JOIN subjects AS s
LEFT JOIN closest AS c ON c.description_id = d.id AND c.synchronization_id IS NOT DISTINCT FROM s.id
WHERE d.access_flags -> $2::text ? 'read'
ORDER BY d.section, d.rank, d.key, s.id NULLS FIRST;
