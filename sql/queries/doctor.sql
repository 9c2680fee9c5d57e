-- name: known_mailbox
-- The address of a mailbox of type $1 that events were pushed to, to try access with.
SELECT address FROM synchronizations
WHERE type = $1 AND unlinked_at IS NULL AND last_resync IS NOT NULL
ORDER BY last_resync DESC, id
LIMIT 1;

-- name: credentials
-- The credentials of sources that are stored, encrypted.
SELECT id, credentials FROM integrated_accounts WHERE credentials <> '' ORDER BY number;
