-- name: of_users
-- The current synchronizations of the users $1, of the type $2 if one is given.
SELECT id FROM current_synchronizations WHERE username = ANY($1::text[]) AND ($2::text IS NULL OR type = $2);

-- name: hold_mailboxes
-- Of all that lock mailboxes and their synchronizations, everybody takes the mailboxes first, in order.
SELECT id FROM mailboxes
WHERE id IN (SELECT mailbox_id FROM synchronizations WHERE id = ANY($1::bigint[]))
ORDER BY id
FOR NO KEY UPDATE;

-- name: unlink
-- End the synchronizations $1 in mode $2, accepted at $3, as part of run $4. What is only unlinked is done at once.
WITH unlinked AS (
    UPDATE synchronizations SET unlinked_at = $3
    WHERE id = ANY($1::bigint[]) AND unlinked_at IS NULL
    RETURNING id, mailbox_id
)

INSERT INTO unlinks (run_id, mailbox_id, synchronization_id, mode, accepted_at, marked_at, done_at)
SELECT $4, mailbox_id, id, $2, $3, at_once.at, at_once.at
FROM unlinked, (SELECT CASE WHEN $2 = 'UNLINK_ONLY' THEN $3::timestamptz END AS at) AS at_once
RETURNING mailbox_id;

-- name: clean_up
-- Clean up the mailboxes in which earlier synchronizations of the users $1 (of type $2, if given) left events, unless run
-- $4 cleans them up already.
INSERT INTO unlinks (run_id, mailbox_id, mode, accepted_at)
SELECT DISTINCT $4::bigint, l.mailbox_id, 'CLEANUP', $3::timestamptz
FROM synchronizations AS s
JOIN ledger AS l ON l.synchronization_id = s.id
WHERE s.username = ANY($1::text[]) AND ($2::text IS NULL OR s.type = $2)
    AND NOT EXISTS (SELECT FROM unlinks AS u WHERE u.run_id = $4 AND u.mailbox_id = l.mailbox_id)
RETURNING mailbox_id;

-- name: preview
-- The events that we have put, or may have put, into the mailboxes concerned, and what an unlinking in mode $1 at $2 would
-- do with each. Concerned are the mailboxes of the synchronizations $3 and, for a CLEANUP by user ($4, and type $5), those
-- in which earlier synchronizations left events.
WITH concerned AS (
    SELECT mailbox_id FROM synchronizations WHERE id = ANY($3::bigint[])
    UNION
    SELECT l.mailbox_id
    FROM synchronizations AS s
    JOIN ledger AS l ON l.synchronization_id = s.id
    WHERE $1 = 'CLEANUP' AND s.username = $4 AND ($5::text IS NULL OR s.type = $5)
)

SELECT
    l.synchronization_id AS synchronization, l.uid, l.remote_id,
    coalesce(l.content, l.sent_content) ->> 'title' AS title, l.starts_at AS start,
    unlink_removes($1, $2, l.synchronization_id = ANY($3::bigint[]), l.starts_at) AS remove,
    CASE
        WHEN $1 = 'UNLINK_ONLY' THEN 'unlink_only'
        WHEN NOT l.synchronization_id = ANY($3::bigint[]) THEN 'other_synchronization'
        ELSE 'not_in_the_future'
    END AS reason
FROM concerned
JOIN ledger AS l ON l.mailbox_id = concerned.mailbox_id
WHERE l.remote_id IS NOT NULL OR l.sent_at IS NOT NULL
ORDER BY l.starts_at, l.id;

-- name: users
-- Those of the users $1 (null: all) for whom an unlinking in mode $2 (of type $3, if given) has something to do: with a
-- current synchronization or, for a CLEANUP, with a former one that left events.
SELECT DISTINCT s.username FROM synchronizations AS s
WHERE ($1::text[] IS NULL OR s.username = ANY($1)) AND ($3::text IS NULL OR s.type = $3)
    AND (
        s.unlinked_at IS NULL
        OR ($2 = 'CLEANUP' AND EXISTS (SELECT FROM ledger AS l WHERE l.synchronization_id = s.id))
    )
ORDER BY s.username;

-- name: summary
-- What an unlinking in mode $1 at $2 of the users $3 (of type $4, if given) would do, by type: the mailboxes concerned, the
-- events of ours to remove there, and those to keep.
WITH chosen AS (
    SELECT id, mailbox_id FROM synchronizations
    WHERE unlinked_at IS NULL AND username = ANY($3::text[]) AND ($4::text IS NULL OR type = $4)
),

concerned AS (
    SELECT mailbox_id FROM chosen
    UNION
    SELECT l.mailbox_id
    FROM synchronizations AS s
    JOIN ledger AS l ON l.synchronization_id = s.id
    WHERE $1 = 'CLEANUP' AND s.username = ANY($3::text[]) AND ($4::text IS NULL OR s.type = $4)
),

events AS (
    SELECT l.id, l.mailbox_id, unlink_removes($1, $2, c.id IS NOT NULL, l.starts_at) AS remove
    FROM concerned
    JOIN ledger AS l ON l.mailbox_id = concerned.mailbox_id
    LEFT JOIN chosen AS c ON c.id = l.synchronization_id
    WHERE l.remote_id IS NOT NULL OR l.sent_at IS NOT NULL
)

SELECT
    m.type, count(DISTINCT m.id) AS mailboxes,
    count(events.id) FILTER (WHERE events.remove) AS remove, count(events.id) FILTER (WHERE NOT events.remove) AS keep
FROM concerned
JOIN mailboxes AS m ON m.id = concerned.mailbox_id
LEFT JOIN events ON events.mailbox_id = m.id
GROUP BY m.type
ORDER BY m.type;

-- name: first_removed
-- The first $5 events that the same unlinking would remove, by their start.
WITH chosen AS (
    SELECT id, mailbox_id FROM synchronizations
    WHERE unlinked_at IS NULL AND username = ANY($3::text[]) AND ($4::text IS NULL OR type = $4)
),

concerned AS (
    SELECT mailbox_id FROM chosen
    UNION
    SELECT l.mailbox_id
    FROM synchronizations AS s
    JOIN ledger AS l ON l.synchronization_id = s.id
    WHERE $1 = 'CLEANUP' AND s.username = ANY($3::text[]) AND ($4::text IS NULL OR s.type = $4)
)

SELECT m.type, m.address, l.uid, l.starts_at AS start, coalesce(l.content, l.sent_content) ->> 'title' AS title
FROM concerned
JOIN ledger AS l ON l.mailbox_id = concerned.mailbox_id
JOIN mailboxes AS m ON m.id = l.mailbox_id
LEFT JOIN chosen AS c ON c.id = l.synchronization_id
WHERE (l.remote_id IS NOT NULL OR l.sent_at IS NOT NULL)
    AND unlink_removes($1, $2, c.id IS NOT NULL, l.starts_at)
ORDER BY l.starts_at, l.id
LIMIT $5;
