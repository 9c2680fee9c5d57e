-- The mirror: what is really in a mailbox, as last read; and what a reading has found out about the ledger's rows.

-- One reading of a mailbox. It counts when it is complete; what was cut off is no picture of anything.
CREATE TABLE readings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    begun_at timestamptz NOT NULL,
    completed_at timestamptz,
    -- How to go on reading what has changed since, by calendar (the provider's id; '' is the default one).
    states jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX readings_mailbox ON readings (mailbox_id);

-- The events of this instance that a reading has seen.
CREATE TABLE mirror (
    reading_id bigint NOT NULL REFERENCES readings ON DELETE CASCADE,
    remote_id text NOT NULL,
    calendar text,                               -- the provider's id; null: the default one
    position integer NOT NULL,                   -- in the order of the provider: the original before its copies
    version text,
    -- The marker. No references: a marker may name what this database has never known.
    synchronization_id bigint NOT NULL,
    event text NOT NULL,
    attempt uuid NOT NULL,
    -- The fields that differ from what was pushed; empty: none; null: nothing to compare with.
    changes text[],
    content jsonb,                               -- providers.contract.Content; null where nothing differs
    copied boolean NOT NULL DEFAULT false,       -- a person's copy, for good: its original may go before it
    -- Where a rebuild puts an event that the ledger does not know.
    placed_in bigint REFERENCES synchronizations,
    placed_as text,                              -- the uid
    PRIMARY KEY (reading_id, remote_id)
);

-- Requests to read a mailbox, each with the run that shows how far it is. A row goes when that is over.
CREATE TABLE refreshes (
    run_id bigint PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    calendars text[]                             -- their names; null: those that our events are in
);

CREATE INDEX refreshes_mailbox ON refreshes (mailbox_id);

-- The uid as a marker carries it, as providers.marker.event_identity makes it.
CREATE FUNCTION event_identity(uid text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN length(uid) <= 255 THEN uid
    ELSE 'sha256:' || encode(sha256(convert_to(uid, 'UTF8')), 'hex')
END;

-- What each event of a reading is, by the ledger. Functions and not views, so that the ledger is read by its mailbox:
--   same         as it was pushed
--   changed      ours, and it does not hold what was pushed
--   moved        the same, and its time is another one
--   elsewhere    ours, and in another calendar than it was put into
--   quarantined  changed or moved, and no longer written
--   unconfirmed  a create whose answer is still to be noted
--   copied       a person's copy: our attempt under another id than the ledger's, or listed after its original
--   duplicate    a second event of ours for the same event, by another attempt
--   foreign      carries this instance's marker, and the ledger knows nothing of it
CREATE FUNCTION mirror_events(reading bigint) RETURNS TABLE (
    mailbox_id bigint, remote_id text, calendar text, version text, synchronization_id bigint, event text,
    attempt uuid, changes text[], content jsonb, ledger_id bigint, kind text
) LANGUAGE sql STABLE
BEGIN ATOMIC
WITH pushed AS NOT MATERIALIZED (
    SELECT l.*, c.remote_id AS calendar
    FROM ledger AS l
    LEFT JOIN calendars AS c ON c.id = l.calendar_id
    WHERE l.mailbox_id = (SELECT r.mailbox_id FROM readings AS r WHERE r.id = reading)
),

compared AS (
    SELECT
        m.*, same.id AS ledger_id, same.state, same.error_code,
        same.calendar IS DISTINCT FROM m.calendar AS other_calendar,
        tried.id AS tried_id, tried.remote_id AS tried_remote_id,
        tried.calendar IS DISTINCT FROM m.calendar AS tried_elsewhere,
        EXISTS (
            SELECT FROM mirror AS x WHERE x.reading_id = reading AND x.remote_id = tried.remote_id
        ) AS tried_is_there,
        row_number() OVER (PARTITION BY m.attempt ORDER BY m.copied, m.position) = 1 AS first
    FROM mirror AS m
    LEFT JOIN pushed AS same ON same.remote_id = m.remote_id
    LEFT JOIN pushed AS tried ON tried.attempt = m.attempt
    WHERE m.reading_id = reading
),

told AS (
    SELECT *, CASE
        WHEN ledger_id IS NOT NULL AND other_calendar THEN 'elsewhere'
        WHEN ledger_id IS NOT NULL AND error_code = 'never_equal' AND cardinality(changes) > 0 THEN 'quarantined'
        WHEN ledger_id IS NOT NULL AND state <> 'deleting' AND changes && ARRAY['start', 'end', 'allDay'] THEN 'moved'
        WHEN ledger_id IS NOT NULL AND state <> 'deleting' AND cardinality(changes) > 0 THEN 'changed'
        WHEN ledger_id IS NOT NULL THEN 'same'
        WHEN copied THEN 'copied'
        WHEN tried_id IS NOT NULL AND tried_remote_id IS NULL AND first THEN 'unconfirmed'
        WHEN tried_elsewhere AND NOT tried_is_there AND tried_id IS NOT NULL AND first THEN 'elsewhere'
        WHEN tried_id IS NOT NULL OR NOT first THEN 'copied'
        ELSE 'foreign'
    END AS told
    FROM compared
)

SELECT
    (SELECT r.mailbox_id FROM readings AS r WHERE r.id = reading), t.remote_id, t.calendar, t.version,
    t.synchronization_id, t.event, t.attempt, t.changes, t.content, coalesce(t.ledger_id, t.tried_id),
    CASE
        WHEN t.told <> 'foreign' THEN t.told
        WHEN bool_or(t.told NOT IN ('foreign', 'copied')) OVER same_event
            OR t.position > min(t.position) FILTER (WHERE t.told = 'foreign') OVER same_event
            OR EXISTS (SELECT FROM lost_creates AS lost WHERE lost.attempt = t.attempt) THEN 'duplicate'
        ELSE 'foreign'
    END
FROM told AS t
WINDOW same_event AS (PARTITION BY t.synchronization_id, t.event);
END;

-- How a reading and the ledger differ: the events above (those elsewhere are moved), and
--   missing      in the mailbox by the ledger, and not there
-- Of a ledger row, gone says that its event is not in the calendar that it was put into.
CREATE FUNCTION mirror_differences(reading bigint) RETURNS TABLE (
    kind text, gone boolean, ledger_id bigint, synchronization_id bigint, uid text, remote_id text, changes text[]
) LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT
    CASE e.kind WHEN 'elsewhere' THEN 'moved' ELSE e.kind END, e.kind = 'elsewhere', l.id,
    coalesce(l.synchronization_id, e.synchronization_id), coalesce(l.uid, e.event), e.remote_id,
    CASE e.kind WHEN 'elsewhere' THEN ARRAY['calendar'] ELSE e.changes END
FROM mirror_events(reading) AS e
LEFT JOIN ledger AS l ON l.id = e.ledger_id
WHERE e.kind NOT IN ('same', 'unconfirmed')
UNION ALL
SELECT 'missing', true, l.id, l.synchronization_id, l.uid, l.remote_id, NULL
FROM ledger AS l
WHERE l.mailbox_id = (SELECT r.mailbox_id FROM readings AS r WHERE r.id = reading)
    AND l.remote_id IS NOT NULL AND l.state <> 'deleting'
    AND NOT EXISTS (SELECT FROM mirror AS m WHERE m.reading_id = reading AND m.remote_id = l.remote_id)
    AND NOT EXISTS (
        SELECT FROM mirror_events(reading) AS e WHERE e.kind = 'elsewhere' AND e.ledger_id = l.id
    );
END;
