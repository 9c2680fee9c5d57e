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

-- The mailboxes that a bulk sync visits, one row each.
CREATE TABLE run_mailboxes (
    run_id bigint NOT NULL REFERENCES runs,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    wake bigint NOT NULL,                        -- a visit counts if it began after this request
    done_at timestamptz,
    error text,                                  -- a sentence for an administrator
    PRIMARY KEY (run_id, mailbox_id)
);

CREATE INDEX run_mailboxes_open ON run_mailboxes (mailbox_id) WHERE done_at IS NULL;

-- At most one bulk sync at a time.
CREATE UNIQUE INDEX runs_active_sync ON runs (kind) WHERE kind = 'sync' AND state = 'active';

-- Bring the count of an unlinking's run up to date; it is done, and whoever waits is told, when nothing of it is open.
-- The row is locked first, so that of two that finish the last pieces at once, the later one sees both.
CREATE FUNCTION finish_run_if_done(run bigint, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM runs WHERE id = run FOR UPDATE;

    UPDATE runs
    SET total = work.total, done = work.done,
        state = CASE WHEN work.done = work.total THEN 'done' ELSE state END,
        finished_at = CASE WHEN work.done = work.total THEN at END,
        last_error = CASE WHEN work.done < work.total THEN last_error END
    FROM (
        SELECT count(*) AS total, count(done_at) AS done FROM unlinks WHERE run_id = run
    ) AS work
    WHERE id = run AND state = 'active';

    PERFORM pg_notify('rooster_run', run::text) FROM runs WHERE id = run AND state <> 'active';
END
$$;
