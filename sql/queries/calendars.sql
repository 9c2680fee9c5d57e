-- name: enlist
-- The calendars that the synchronizations of mailbox $1 want their events in have a row each.
INSERT INTO calendars (mailbox_id, name)
SELECT DISTINCT mailbox_id, preferences ->> 'calendar.name'
FROM synchronizations
WHERE mailbox_id = $1 AND unlinked_at IS NULL AND enabled AND preferences ->> 'calendar.name' IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: left
-- What lay in a calendar of mailbox $1 that is not there any more, and may have been moved out of it before: from $2 on,
-- nobody knows where it is.
UPDATE ledger AS l
SET sent_at = $2
FROM calendars AS c
WHERE l.mailbox_id = $1 AND c.id = l.calendar_id AND c.remote_id IS NULL
    AND l.move_attempt IS NOT NULL AND l.sent_at IS NULL;

-- name: orphans
-- What lies in a calendar of mailbox $1 that is not there any more, and what becomes of its rows: what was to be deleted,
-- belongs to nobody any more, or is not wanted at $3, is gone; what is wanted is to be created anew, by the policy $2 or
-- because it has changed, or is wanted elsewhere. By the other policies it stays gone until the timetable changes it.
WITH gone AS MATERIALIZED (
    SELECT l.id, l.synchronization_id, l.uid, l.content_hash, l.state, s.unlinked_at, (
        l.state = 'updating' OR coalesce(s.preferences ->> 'sync.people', $2) = 'restore'
        OR s.preferences ->> 'calendar.name' IS DISTINCT FROM c.name
    ) AS anew
    FROM ledger AS l
    JOIN calendars AS c ON c.id = l.calendar_id
    JOIN synchronizations AS s ON s.id = l.synchronization_id
    WHERE l.mailbox_id = $1 AND s.mailbox_id = $1 AND c.remote_id IS NULL AND l.remote_id IS NOT NULL
        AND l.sent_at IS NULL
),

told AS (
    SELECT gone.id, CASE
        WHEN gone.state = 'deleting' OR gone.unlinked_at IS NOT NULL OR w.uid IS NULL THEN 'deleted'
        WHEN gone.anew OR gone.content_hash IS DISTINCT FROM w.content_hash THEN 'vanished'
    END AS fate
    FROM gone
    LEFT JOIN wanted_events($1, $3) AS w ON w.synchronization_id = gone.synchronization_id AND w.uid = gone.uid
)

SELECT id, fate FROM told WHERE fate IS NOT NULL;

-- name: needed
-- Calendars of mailbox $1 that are not there, and into which something could be put, or moved, at $2. What is to be moved
-- is not taken out of its calendar before the other one is there.
SELECT c.id, c.name FROM calendars AS c
WHERE c.mailbox_id = $1 AND c.remote_id IS NULL AND (
    EXISTS (
        SELECT FROM ledger AS l
        JOIN synchronizations AS s ON s.id = l.synchronization_id
        WHERE l.calendar_id = c.id AND l.state = 'creating' AND l.sent_at IS NULL
            AND (l.retry_at IS NULL OR l.retry_at <= $2)
            AND s.unlinked_at IS NULL AND s.enabled AND NOT s.held
    )
    OR EXISTS (
        SELECT FROM wanted_events($1, $2) AS w
        JOIN ledger AS l ON l.synchronization_id = w.synchronization_id AND l.uid = w.uid
        WHERE w.calendar_id = c.id AND w.enabled AND NOT w.held AND NOT w.past
            AND l.calendar_id IS DISTINCT FROM c.id AND l.remote_id IS NOT NULL AND l.unlink_id IS NULL
            AND (l.state <> 'refused' OR l.refused_hash IS DISTINCT FROM w.content_hash)
    )
)
ORDER BY c.id;

-- name: made
-- Calendar $1 is there, under the id $2.
UPDATE calendars SET remote_id = $2 WHERE id = $1;

-- name: gone
-- The calendar of mailbox $1 with the id $2 is not there any more.
UPDATE calendars SET remote_id = NULL WHERE mailbox_id = $1 AND remote_id = $2;

-- name: there
-- The calendars of mailbox $1 that we made and that are there.
SELECT id, name, remote_id FROM calendars WHERE mailbox_id = $1 AND remote_id IS NOT NULL ORDER BY id;

-- name: removable
-- Calendars of mailbox $1 that a CLEANUP leaves without an event of ours, and that nobody wants.
SELECT c.id, c.remote_id FROM calendars AS c
WHERE c.mailbox_id = $1 AND c.remote_id IS NOT NULL
    AND EXISTS (
        SELECT FROM unlinks AS u
        WHERE u.mailbox_id = $1 AND u.mode = 'CLEANUP' AND u.marked_at IS NOT NULL AND u.done_at IS NULL
    )
    AND NOT EXISTS (SELECT FROM ledger AS l WHERE l.calendar_id = c.id OR l.move_to = c.id)
    AND NOT EXISTS (
        SELECT FROM synchronizations AS s
        WHERE s.mailbox_id = $1 AND s.unlinked_at IS NULL AND s.preferences ->> 'calendar.name' = c.name
    )
ORDER BY c.id;

-- name: forget
-- Calendar $1 is removed, and nothing is looked for in it any more.
DELETE FROM calendars WHERE id = $1;
