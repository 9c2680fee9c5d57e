-- What the provisioning API reads: current synchronizations as it shows them, and the orders in which it lists.
CREATE VIEW current_synchronizations AS
SELECT
    id, username, type, address AS description, enabled, status,
    (extract(epoch FROM last_resync) * 1000)::bigint AS last_resync,
    mailbox_id, last_error
FROM synchronizations
WHERE unlinked_at IS NULL;

CREATE INDEX users_in_order ON users (username COLLATE "C");
CREATE INDEX mailboxes_address ON mailboxes (type, lower(address));
