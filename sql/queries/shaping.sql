-- name: stale
-- The synchronizations of mailbox $1 whose shaped events are out of date, with the preferences that shape them ({}: none
-- does any more). Former ones want nothing: what was shaped for them goes.
SELECT s.id, s.username, CASE WHEN s.unlinked_at IS NULL THEN shaping(s.preferences) ELSE '{}' END AS shaping
FROM synchronizations AS s
LEFT JOIN users AS u USING (username)
WHERE s.mailbox_id = $1 AND CASE
    WHEN s.unlinked_at IS NULL THEN shape_is_stale(s, u.timetable_revision) ELSE s.shaped_revision IS NOT NULL
END;

-- name: store
-- What synchronization $1 wants, by the preferences $3, of the timetable of revision $2: the events $4 with their times
-- $5 and $6, contents $7 and hashes $8; $9 names the preference that leaves one out.
WITH given AS (
    SELECT * FROM unnest(
        $4::text[], $5::timestamptz[], $6::timestamptz[], $7::jsonb[], $8::bytea[], $9::text[]
    ) AS g (uid, starts_at, ends_at, content, content_hash, left_out_by)
),

gone AS (
    DELETE FROM shaped_events AS e
    WHERE e.synchronization_id = $1 AND NOT EXISTS (SELECT FROM given WHERE given.uid = e.uid)
),

shaped AS (
    UPDATE synchronizations SET shaped_revision = $2, shaped_by = $3 WHERE id = $1
)

INSERT INTO shaped_events AS e (
    synchronization_id, uid, starts_at, ends_at, content, content_hash, left_out_by
)
SELECT $1, given.* FROM given
ON CONFLICT (synchronization_id, uid) DO UPDATE SET
    starts_at = excluded.starts_at,
    ends_at = excluded.ends_at,
    content = excluded.content,
    content_hash = excluded.content_hash,
    left_out_by = excluded.left_out_by
WHERE (e.content_hash, e.left_out_by) IS DISTINCT FROM (excluded.content_hash, excluded.left_out_by);

-- name: drop
-- Synchronization $1 wants the timetable as it is.
WITH gone AS (
    DELETE FROM shaped_events WHERE synchronization_id = $1
)

UPDATE synchronizations SET shaped_revision = NULL, shaped_by = NULL WHERE id = $1;
