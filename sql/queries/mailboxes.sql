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
