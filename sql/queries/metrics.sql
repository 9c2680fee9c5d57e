-- name: synchronizations
-- Current synchronizations by type and status.
SELECT type, status, count(*) AS count FROM current_synchronizations GROUP BY type, status;

-- name: due
-- Mailboxes that are due at $1, by type.
SELECT type, count(*) AS count FROM mailboxes WHERE due_at <= $1 GROUP BY type;

-- name: ledger
-- Ledger rows by state, without reading all of them: there is an index of those with something to do, and of the rest
-- the planner's estimate is good enough.
WITH work AS (
    SELECT state, count(*) AS count FROM ledger WHERE state <> 'present' GROUP BY state
)

SELECT state, count FROM work
UNION ALL
SELECT 'present', greatest(reltuples::bigint - coalesce((SELECT sum(count)::bigint FROM work), 0), 0)
FROM pg_class
WHERE oid = 'ledger'::regclass;

-- name: unlinks
-- Unlinkings that are not done yet.
SELECT count(*) FROM unlinks WHERE done_at IS NULL;
