-- name: create
-- A new run of this kind, begun at $2.
INSERT INTO runs (kind, created_at) VALUES ($1, $2) RETURNING id;

-- name: finish_if_done
-- Bring the count of unlinking $1 up to date at $2, and end it if nothing of it is open: see the function.
SELECT finish_run_if_done($1, $2);

-- name: start_sync
-- A new bulk sync, begun at $1; nothing is returned while one is active.
INSERT INTO runs (kind, created_at) VALUES ('sync', $1)
ON CONFLICT (kind) WHERE kind = 'sync' AND state = 'active' DO NOTHING
RETURNING id;

-- name: active_sync
-- The bulk sync that is active now.
SELECT id FROM runs WHERE kind = 'sync' AND state = 'active';

-- name: enlist
-- Run $1 visits the mailboxes of the enabled synchronizations that have one of the ids $3, users $4 or types $5 (null: not
-- chosen by that; all null: all of them), from $2 on.
WITH chosen AS (
    SELECT id FROM mailboxes
    WHERE id IN (
        SELECT mailbox_id FROM current_synchronizations
        WHERE enabled
            AND ($3::bigint[] IS NULL OR id = ANY($3))
            AND ($4::text[] IS NULL OR username = ANY($4))
            AND ($5::text[] IS NULL OR type = ANY($5))
    )
    ORDER BY id
    FOR NO KEY UPDATE
),

woken AS (
    UPDATE mailboxes AS m
    SET due_at = least(coalesce(m.due_at, $2), $2), wake = m.wake + 1
    FROM chosen
    WHERE m.id = chosen.id
    RETURNING m.id, m.wake
),

enlisted AS (
    INSERT INTO run_mailboxes (run_id, mailbox_id, wake)
    SELECT $1, id, wake FROM woken
    RETURNING mailbox_id
),

counted AS (
    UPDATE runs
    SET total = work.total,
        state = CASE WHEN work.total = 0 THEN 'done' ELSE state END,
        finished_at = CASE WHEN work.total = 0 THEN $2 END
    FROM (SELECT count(*) AS total FROM enlisted) AS work
    WHERE runs.id = $1
    RETURNING runs.state
)

SELECT pg_notify('rooster_due', '') FROM counted WHERE state = 'active';

-- name: visited
-- Mailbox $1 was visited, as of the request for a run number $2, until $3; $4 says in a sentence what went wrong, or is
-- null. Every bulk sync that waited for that has one less to visit; the last one ends it.
WITH visited AS (
    UPDATE run_mailboxes SET done_at = $3, error = $4
    WHERE mailbox_id = $1 AND done_at IS NULL AND wake <= $2
    RETURNING run_id
),

advanced AS (
    UPDATE runs AS r
    SET done = r.done + 1,
        state = CASE WHEN r.done + 1 = r.total THEN 'done' ELSE r.state END,
        finished_at = CASE WHEN r.done + 1 = r.total THEN $3 END,
        last_error = coalesce($4, r.last_error)
    FROM visited
    WHERE r.id = visited.run_id AND r.state = 'active'
    RETURNING r.id, r.state
)

SELECT pg_notify('rooster_run', id::text) FROM advanced WHERE state = 'done';

-- name: size
-- How many pieces of work run $1 has.
SELECT total FROM runs WHERE id = $1;

-- name: is_active
-- Whether run $1 is still going on.
SELECT state = 'active' FROM runs WHERE id = $1;

-- name: page
-- The $2 runs before the id $1, the latest first.
SELECT id, kind, state, created_at, finished_at, total, done, removed, last_error
FROM runs
WHERE id < $1
ORDER BY id DESC
LIMIT $2;

-- name: find
-- One run.
SELECT id, kind, state, created_at, finished_at, total, done, removed, last_error FROM runs WHERE id = $1;

-- name: errors
-- What went wrong in the mailboxes of run $1, the latest $2.
SELECT m.type, m.address, r.error
FROM run_mailboxes AS r
JOIN mailboxes AS m ON m.id = r.mailbox_id
WHERE r.run_id = $1 AND r.error IS NOT NULL
ORDER BY r.done_at DESC, r.mailbox_id
LIMIT $2;

-- name: concerns_only
-- Whether run $1 is about mailboxes of the user $2 and nobody else's.
SELECT EXISTS (SELECT FROM run_mailboxes WHERE run_id = $1) AND NOT EXISTS (
    SELECT FROM run_mailboxes AS r
    WHERE r.run_id = $1 AND NOT EXISTS (
        SELECT FROM current_synchronizations AS s WHERE s.mailbox_id = r.mailbox_id AND s.username = $2
    )
);
