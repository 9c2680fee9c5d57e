-- name: progress
-- How far the current synchronizations of each type have got: events in place, and all that the ledger knows of.
SELECT s.type, count(*) FILTER (WHERE l.state = 'present') AS present, count(*) AS known
FROM synchronizations AS s
JOIN ledger AS l ON l.synchronization_id = s.id
WHERE s.unlinked_at IS NULL
GROUP BY s.type;

-- name: left_to_remove
-- How many events of each type are yet to be taken out for the unlinkings that are not done.
SELECT m.type, count(*) AS events
FROM unlinks AS u
JOIN mailboxes AS m ON m.id = u.mailbox_id
JOIN ledger AS l ON l.mailbox_id = u.mailbox_id
WHERE u.done_at IS NULL
    AND unlink_removes(u.mode, u.accepted_at, u.synchronization_id = l.synchronization_id, l.starts_at)
GROUP BY m.type;

-- name: busy
-- Whether anything is still to be done at $1: a mailbox that is due or being worked on, a synchronization that is not
-- up to date, an unlinking that is not done.
SELECT
    EXISTS (SELECT FROM mailboxes WHERE owner IS NOT NULL OR due_at <= $1)
    OR EXISTS (
        SELECT FROM synchronizations
        WHERE unlinked_at IS NULL AND enabled AND status IN ('PENDING', 'SYNCING', 'THROTTLED')
    )
    OR EXISTS (SELECT FROM unlinks WHERE done_at IS NULL);

-- name: ledger
-- What the ledger says of the mailbox with this type and address.
SELECT l.uid, l.state, l.remote_id, l.starts_at
FROM ledger AS l
JOIN mailboxes AS m ON m.id = l.mailbox_id
WHERE m.type = $1 AND lower(m.address) = lower($2);
