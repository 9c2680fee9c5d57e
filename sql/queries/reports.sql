-- name: syncing
-- The current synchronizations of mailbox $1 are being brought up to date.
UPDATE synchronizations SET status = 'SYNCING'
WHERE mailbox_id = $1 AND unlinked_at IS NULL AND enabled AND NOT held AND status <> 'SYNCING';

-- name: stopped
-- A run of mailbox $1 ended early at $4: status $2, and a sentence $3 that says why.
UPDATE synchronizations SET status = $2, last_error = $3, failing_since = coalesce(failing_since, $4)
WHERE mailbox_id = $1 AND unlinked_at IS NULL AND enabled AND NOT held
RETURNING id;

-- name: complete
-- A run of mailbox $1 did all there was to do at $2. Events that the provider refuses are told, and are an error.
UPDATE synchronizations AS s
SET status = CASE WHEN trouble.events > 0 THEN 'ERROR' ELSE 'OK' END,
    last_error = CASE
        WHEN trouble.events > 0
            THEN format('The provider refuses %s event(s); the last reason given: %s', trouble.events, trouble.reason)
    END,
    last_resync = $2, approved = false, failing_since = NULL
FROM synchronizations AS c
LEFT JOIN LATERAL (
    SELECT count(*) AS events, max(l.error) AS reason
    FROM ledger AS l
    WHERE l.synchronization_id = c.id AND l.mailbox_id = $1 AND l.state <> 'present' AND l.error IS NOT NULL
) AS trouble ON true
WHERE c.id = s.id AND s.mailbox_id = $1 AND s.unlinked_at IS NULL AND s.enabled AND NOT s.held
RETURNING s.id;

-- name: merged
-- Of the synchronizations of mailbox $1, those that came after another current one of the same user and type are the
-- same synchronization: the older one stays and takes the newer address.
WITH ranked AS (
    SELECT
        id, address,
        first_value(id) OVER same AS kept,
        last_value(address) OVER same AS newest
    FROM synchronizations
    WHERE mailbox_id = $1 AND unlinked_at IS NULL
    WINDOW same AS (
        PARTITION BY username, type ORDER BY id
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
)

UPDATE synchronizations AS s
SET address = ranked.newest, unlinked_at = CASE WHEN ranked.id <> ranked.kept THEN $2::timestamptz END
FROM ranked
WHERE ranked.id = s.id AND (s.address <> ranked.newest OR ranked.id <> ranked.kept);

-- name: unlink_trouble
-- Why the unlinkings of mailbox $1 are not done yet, in a sentence ($2); null where nothing is in the way.
UPDATE runs SET last_error = $2
WHERE id IN (SELECT run_id FROM unlinks WHERE mailbox_id = $1 AND done_at IS NULL)
    AND last_error IS DISTINCT FROM $2;

-- name: unconfigured
-- The types $1 are all that this installation is configured for: what waits for another one says so.
WITH waiting AS (
    SELECT m.id, format(
        'The synchronization type %s is not configured any more, so its mailboxes cannot be reached. Configure it'
        ' again, and the work goes on by itself.', m.type
    ) AS reason
    FROM mailboxes AS m
    WHERE m.due_at IS NOT NULL AND m.type <> ALL($1::text[])
),

unlinking AS (
    UPDATE runs SET last_error = waiting.reason
    FROM unlinks AS u
    JOIN waiting ON waiting.id = u.mailbox_id
    WHERE runs.id = u.run_id AND u.done_at IS NULL AND runs.last_error IS DISTINCT FROM waiting.reason
)

UPDATE synchronizations AS s
SET status = 'ERROR', last_error = waiting.reason
FROM waiting
WHERE s.mailbox_id = waiting.id AND s.unlinked_at IS NULL AND s.enabled
    AND s.last_error IS DISTINCT FROM waiting.reason;
