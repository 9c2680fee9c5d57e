-- name: wake_users
-- The mailboxes of these users' current and enabled synchronizations become due at $2 at the latest.
WITH woken AS (
    UPDATE mailboxes
    SET due_at = least(coalesce(due_at, $2), $2), wake = wake + 1
    WHERE id IN (
        SELECT mailbox_id FROM synchronizations
        WHERE username = ANY($1::text[]) AND unlinked_at IS NULL AND enabled
    )
    RETURNING id
)
SELECT pg_notify('rooster_due', '') FROM (SELECT 1 FROM woken LIMIT 1) AS any_woken;

-- name: wake_mailboxes
-- These mailboxes become due at $2 at the latest.
WITH woken AS (
    UPDATE mailboxes
    SET due_at = least(coalesce(due_at, $2), $2), wake = wake + 1
    WHERE id = ANY($1::bigint[])
    RETURNING id
)
SELECT pg_notify('rooster_due', '') FROM (SELECT 1 FROM woken LIMIT 1) AS any_woken;

-- name: claim
-- Worker $1 takes up to $3 mailboxes of type $2 that are due at $4, for $5 seconds. A claim gets a new
-- fence, so that an earlier owner that was only slow cannot write any more. Not $6, where a run of its own
-- under an earlier lease has not ended yet.
WITH due AS (
    SELECT id FROM mailboxes
    WHERE type = $2 AND due_at <= $4 AND (owner IS NULL OR lease_until < clock_timestamp())
        AND NOT (id = ANY($6::bigint[]))
    ORDER BY due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
UPDATE mailboxes AS m
SET owner = $1, fence = m.fence + 1, lease_until = clock_timestamp() + make_interval(secs => $5)
FROM due
WHERE m.id = due.id
RETURNING m.id, m.type, m.address, m.identity, m.fence, m.attempts, m.wake;

-- name: claim_one
-- Owner $1 takes mailbox $2 for $3 seconds, due or not, unless somebody has it.
UPDATE mailboxes
SET owner = $1, fence = fence + 1, lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $2 AND (owner IS NULL OR lease_until < clock_timestamp())
RETURNING id, type, address, identity, fence, attempts, wake;

-- name: give_back
-- The owner $2 of mailbox $1 (fence $3) is finished with it; when it is due stays as it is.
WITH given AS (
    UPDATE mailboxes SET owner = NULL, lease_until = NULL
    WHERE id = $1 AND owner = $2 AND fence = $3
    RETURNING due_at
)
SELECT pg_notify('rooster_due', '') FROM given WHERE due_at IS NOT NULL;

-- name: next_due
-- When the next mailbox of the types $1 can be claimed; null if none is waiting. Its own lease counts for one
-- that is owned.
SELECT min(CASE WHEN owner IS NULL THEN due_at ELSE greatest(due_at, lease_until) END)
FROM (
    SELECT t.type FROM unnest($1::text[]) AS t (type)
) AS types,
LATERAL (
    SELECT due_at, owner, lease_until FROM mailboxes
    WHERE mailboxes.type = types.type AND due_at IS NOT NULL AND NOT (id = ANY($2::bigint[]))
    ORDER BY due_at
    LIMIT 100
) AS first_due;

-- name: extend
-- Worker $1 keeps the mailboxes $2 for another $3 seconds; returns those that it still owns.
UPDATE mailboxes
SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = ANY($2::bigint[]) AND owner = $1
RETURNING id;

-- name: hold
-- The lease (mailbox $1, owner $2, fence $3), if it still holds, kept from ending until the transaction does;
-- gives the number of requests for a run so far.
SELECT wake FROM mailboxes
WHERE id = $1 AND owner = $2 AND fence = $3 AND lease_until > clock_timestamp()
FOR SHARE;

-- name: release
-- The owner gives mailbox $1 back (fence $3): due again at $4 (or at $7, now, if somebody asked since the request
-- number $5), after $6 failed runs in a row.
UPDATE mailboxes
SET owner = NULL, lease_until = NULL, attempts = $6,
    due_at = CASE WHEN wake <> $5 THEN least(due_at, $4, $7) ELSE $4 END
WHERE id = $1 AND owner = $2 AND fence = $3
RETURNING id;

-- name: identify
-- Mailbox $1 turned out to have the identity $2. Returns the mailbox that has it already, if another does.
WITH known AS (
    SELECT k.id FROM mailboxes AS k
    JOIN mailboxes AS m ON m.id = $1 AND m.type = k.type
    WHERE k.identity = $2 AND k.id <> $1
),

named AS (
    UPDATE mailboxes SET identity = $2
    WHERE id = $1 AND NOT EXISTS (SELECT FROM known)
)

SELECT id FROM known;

-- name: merge
-- All that points to mailbox $1 (never written to) points to mailbox $2 from now on.
WITH moved AS (
    UPDATE synchronizations SET mailbox_id = $2 WHERE mailbox_id = $1
),

work AS (
    UPDATE unlinks SET mailbox_id = $2 WHERE mailbox_id = $1
),

asked AS (
    UPDATE refreshes SET mailbox_id = $2 WHERE mailbox_id = $1
)

UPDATE mailboxes AS known
SET address = m.address, due_at = $3, wake = known.wake + 1
FROM mailboxes AS m
WHERE known.id = $2 AND m.id = $1;

-- name: retire
-- Mailbox $1 was merged into another: nothing is due in it any more.
UPDATE mailboxes SET due_at = NULL, owner = NULL, lease_until = NULL WHERE id = $1;

-- name: abandon
-- Worker $1 gives back what it owns and does not run ($2) any more: its runs ended when the database went away.
UPDATE mailboxes
SET owner = NULL, lease_until = NULL, due_at = least(coalesce(due_at, $3), $3)
WHERE owner = $1 AND NOT (id = ANY($2::bigint[]));
