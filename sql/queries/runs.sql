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

-- name: choose
-- What bulk sync $1 visits: the enabled synchronizations that have one of the ids $2, users $3 or types $4 (null: not
-- chosen by that; all null: all of them), if their type is one of $5.
INSERT INTO run_selections (run_id, ids, usernames, types, known_types) VALUES ($1, $2, $3, $4, $5);

-- name: enlist
-- Note at $2 which mailboxes bulk sync $1 visits, if nobody has yet: see the function.
SELECT enlist_sync($1, $2);

-- name: feed
-- Wake the next mailboxes of bulk sync $1 at $3, so that $2 of them are being visited: see the function.
SELECT feed_sync($1, $2, $3);

-- name: visited
-- Mailbox $1 was visited, as of the request for a run number $2, until $3; $4 says in a sentence what went wrong, or is
-- null. Every bulk sync that waited for that has one less to visit; the last one ends it. Returns those that go on.
-- A mailbox that has not had its turn yet counts as asked for after every number but the largest, 2^62.
WITH visited AS (
    UPDATE run_mailboxes SET done_at = $3, error = $4
    WHERE mailbox_id = $1 AND done_at IS NULL AND coalesce(wake, 4611686018427387904) <= $2
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
),

told AS (
    SELECT id, state, pg_notify('rooster_run', id::text) FROM advanced
)

SELECT id FROM told WHERE state = 'active';

-- name: cancel
-- Bulk sync or refresh $1 ends at $2 as it is; the mailboxes that were not visited yet are struck off. Returns its id if
-- it was active.
WITH cancelled AS (
    UPDATE runs SET state = 'cancelled', finished_at = $2
    WHERE id = $1 AND state = 'active' AND kind <> 'unlink'
    RETURNING id
),

struck_off AS (
    DELETE FROM run_mailboxes WHERE run_id IN (SELECT id FROM cancelled) AND done_at IS NULL
),

forgotten AS (
    DELETE FROM run_selections WHERE run_id IN (SELECT id FROM cancelled)
),

not_refreshed AS (
    DELETE FROM refreshes WHERE run_id IN (SELECT id FROM cancelled)
)

SELECT id, pg_notify('rooster_run', id::text) FROM cancelled;

-- name: prune
-- Forget up to $2 runs that ended before $1; gives their number.
WITH pruned AS (
    DELETE FROM runs
    WHERE id IN (SELECT id FROM runs WHERE state <> 'active' AND finished_at < $1 LIMIT $2)
    RETURNING id
)

SELECT count(*) FROM pruned;

-- name: together
-- How far the runs $1 are, taken together.
SELECT
    count(*) FILTER (WHERE state = 'active') AS active, coalesce(sum(total), 0) AS total, coalesce(sum(done), 0) AS done,
    coalesce(sum(removed), 0) AS removed, max(last_error) AS error
FROM runs
WHERE id = ANY($1::bigint[]);

-- name: size
-- How many pieces of work run $1 has.
SELECT total FROM runs WHERE id = $1;

-- name: is_active
-- Whether run $1 is still going on.
SELECT state = 'active' FROM runs WHERE id = $1;

-- name: page
-- The $2 runs before the id $1, the latest first, with how many events an unlinking is yet to take out.
SELECT id, kind, state, created_at, finished_at, total, done, removed, last_error, drift::text,
    CASE WHEN state = 'active' AND kind = 'unlink' THEN (
        SELECT count(DISTINCT l.id)
        FROM unlinks AS u
        JOIN ledger AS l ON l.mailbox_id = u.mailbox_id
        WHERE u.run_id = runs.id AND u.done_at IS NULL AND (
            l.unlink_id = u.id OR (
                u.marked_at IS NULL AND l.unlink_id IS NULL
                AND unlink_removes(u.mode, u.accepted_at, u.synchronization_id = l.synchronization_id, l.starts_at)
            )
        )
    ) ELSE 0 END AS to_remove
FROM runs
WHERE id < $1
ORDER BY id DESC
LIMIT $2;

-- name: find
-- One run, with how many events an unlinking is yet to take out.
SELECT id, kind, state, created_at, finished_at, total, done, removed, last_error, drift::text,
    CASE WHEN state = 'active' AND kind = 'unlink' THEN (
        SELECT count(DISTINCT l.id)
        FROM unlinks AS u
        JOIN ledger AS l ON l.mailbox_id = u.mailbox_id
        WHERE u.run_id = runs.id AND u.done_at IS NULL AND (
            l.unlink_id = u.id OR (
                u.marked_at IS NULL AND l.unlink_id IS NULL
                AND unlink_removes(u.mode, u.accepted_at, u.synchronization_id = l.synchronization_id, l.starts_at)
            )
        )
    ) ELSE 0 END AS to_remove
FROM runs
WHERE id = $1;

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
