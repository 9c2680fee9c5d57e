-- What came of each operation that a provider was asked for, and what readings of the mailbox found: why an event is
-- there, or is not.
-- No titles and no texts. What is repeated (the same refusal, the same request to wait) is counted, not added.
CREATE TABLE history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    synchronization_id bigint NOT NULL,          -- no reference: millions of rows, and no row of the other side ever goes
    uid text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('create', 'update', 'delete', 'read')),
    outcome text NOT NULL CHECK (
        outcome IN ('done', 'gone', 'changed', 'refused', 'throttled', 'unknown', 'lost')
    ),
    first_at timestamptz NOT NULL,
    at timestamptz NOT NULL,                     -- of the last one
    times integer NOT NULL DEFAULT 1,
    code text,                                   -- as the adapter gave it
    remote_id text,                              -- of what was created or deleted; an update changes no id
    run_id bigint,                               -- the unlinking that wanted it deleted
    reason text                                  -- a sentence, where it was not simply done
);

CREATE INDEX history_event ON history (synchronization_id, uid, id);
CREATE INDEX history_at ON history USING brin (at);

-- Workers that are running: each says so every few seconds.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    types text[] NOT NULL,                       -- the synchronization types it works for
    seen_at timestamptz NOT NULL
);

-- At most one bulk sync at a time.
CREATE UNIQUE INDEX runs_active_sync ON runs (kind) WHERE kind = 'sync' AND state = 'active';

-- The mailboxes that a bulk sync visits, one row each. It feeds them to the workers, so many at a time.
CREATE TABLE run_mailboxes (
    run_id bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    wake bigint,                                 -- a visit counts if it began after this; null: it waits for its turn
    done_at timestamptz,
    error text,                                  -- a sentence for an administrator
    PRIMARY KEY (run_id, mailbox_id)
);

CREATE INDEX run_mailboxes_open ON run_mailboxes (mailbox_id) WHERE done_at IS NULL;
CREATE INDEX run_mailboxes_waiting ON run_mailboxes (run_id, mailbox_id) WHERE wake IS NULL AND done_at IS NULL;
CREATE INDEX run_mailboxes_visiting ON run_mailboxes (run_id) WHERE wake IS NOT NULL AND done_at IS NULL;

-- What a bulk sync was asked for, until its mailboxes are enlisted: the run is committed first, so that it is
-- known at once to be active, and whoever comes next can enlist them if the first one died. Null: not chosen by that.
CREATE TABLE run_selections (
    run_id bigint PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    ids bigint[],
    usernames text[],
    types text[],
    known_types text[]                           -- the types that this installation works for
);

-- Note which mailboxes bulk sync $1 visits. Once only, whoever does it; a run without mailboxes is done.
CREATE FUNCTION enlist_sync(run bigint, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen run_selections;
BEGIN
    PERFORM FROM runs WHERE id = run AND state = 'active' FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    DELETE FROM run_selections WHERE run_id = run RETURNING * INTO chosen;
    IF NOT FOUND THEN RETURN; END IF;

    WITH enlisted AS (
        INSERT INTO run_mailboxes (run_id, mailbox_id)
        SELECT DISTINCT run, mailbox_id FROM current_synchronizations
        WHERE enabled
            AND (chosen.known_types IS NULL OR type = ANY (chosen.known_types))
            AND (chosen.ids IS NULL OR id = ANY (chosen.ids))
            AND (chosen.usernames IS NULL OR username = ANY (chosen.usernames))
            AND (chosen.types IS NULL OR type = ANY (chosen.types))
        RETURNING mailbox_id
    )

    UPDATE runs
    SET total = work.total,
        state = CASE WHEN work.total = 0 THEN 'done' ELSE state END,
        finished_at = CASE WHEN work.total = 0 THEN moment END
    FROM (SELECT count(*) AS total FROM enlisted) AS work
    WHERE id = run;
    PERFORM pg_notify('rooster_run', run::text);
END
$$;

-- Wake the next mailboxes of a bulk sync, so that so many of them are being visited. What somebody else holds at
-- this moment is left for later, so that nobody who holds a mailbox and waits for the run is waited for here.
CREATE FUNCTION feed_sync(run bigint, at_once integer, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    room integer;
BEGIN
    PERFORM FROM runs WHERE id = run AND state = 'active' FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT at_once - count(*) INTO room FROM run_mailboxes
    WHERE run_id = run AND wake IS NOT NULL AND done_at IS NULL;

    WITH next AS (
        SELECT m.id FROM run_mailboxes AS r
        JOIN mailboxes AS m ON m.id = r.mailbox_id
        WHERE r.run_id = run AND r.wake IS NULL AND r.done_at IS NULL
        ORDER BY r.mailbox_id
        LIMIT greatest(room, 0)
        FOR NO KEY UPDATE OF m SKIP LOCKED
    ),

    woken AS (
        UPDATE mailboxes AS m
        SET due_at = least(coalesce(m.due_at, moment), moment), wake = m.wake + 1
        FROM next
        WHERE m.id = next.id
        RETURNING m.id, m.wake
    )

    UPDATE run_mailboxes AS r SET wake = woken.wake
    FROM woken
    WHERE r.run_id = run AND r.mailbox_id = woken.id;
    IF FOUND THEN
        PERFORM pg_notify('rooster_due', '');
    END IF;
END
$$;

-- Bring the count of an unlinking's run up to date, and tell whoever watches; it is done when nothing of it is open.
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

    PERFORM pg_notify('rooster_run', run::text);
END
$$;
