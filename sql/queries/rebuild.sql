-- name: calendars
-- In mailbox $1, the calendars of the names $2 are ours, and have the ids $3. Those that are not among them are not there.
-- Of several that were made under one name, the one that is known has it, or else the one with the most events by reading
-- $4; the others are known by their ids as well, so that what is in them is found.
WITH seen AS (
    SELECT c.name, c.remote_id, known.id IS NOT NULL AS known, row_number() OVER (
        PARTITION BY c.name ORDER BY known.id IS NULL, (
            SELECT count(*) FROM mirror AS m WHERE m.reading_id = $4 AND m.calendar = c.remote_id
        ) DESC, c.remote_id
    ) AS place
    FROM unnest($2::text[], $3::text[]) AS c (name, remote_id)
    LEFT JOIN calendars AS known ON known.mailbox_id = $1 AND known.remote_id = c.remote_id
),

new AS (
    SELECT CASE WHEN place = 1 THEN name ELSE name || ' ' || remote_id END AS name, remote_id
    FROM seen
    WHERE NOT known
),

gone AS (
    UPDATE calendars SET remote_id = NULL
    WHERE mailbox_id = $1 AND NOT EXISTS (SELECT FROM seen WHERE seen.remote_id = calendars.remote_id)
        AND NOT EXISTS (SELECT FROM new WHERE new.name = calendars.name)
)

INSERT INTO calendars (mailbox_id, name, remote_id)
SELECT $1, name, remote_id FROM new
ON CONFLICT (mailbox_id, name) DO UPDATE SET remote_id = excluded.remote_id;

-- name: advance_ids
-- No synchronization will get an id that a marker seen in reading $1 has already: the database may be older than the mailbox.
SELECT setval(pg_get_serial_sequence('synchronizations', 'id'), seen.id)
FROM (SELECT max(synchronization_id) AS id FROM mirror WHERE reading_id = $1) AS seen, synchronizations_id_seq AS ids
WHERE seen.id > ids.last_value;

-- name: confirm
-- Creates that had been carried out by reading $1, though the ledger does not know it.
UPDATE ledger AS l
SET state = CASE WHEN l.state = 'deleting' THEN 'deleting' ELSE 'present' END,
    remote_id = e.remote_id, remote_version = e.version, drift = 'changed',
    starts_at = (e.content ->> 'start')::timestamptz, ends_at = (e.content ->> 'end')::timestamptz,
    sent_at = NULL, sent_content = NULL, sent_hash = NULL
FROM mirror_events($1) AS e
WHERE e.kind = 'unconfirmed' AND l.id = e.ledger_id;

-- name: moved
-- What is in another calendar by reading $1 than its row says is there now, and may be newer than the ledger.
UPDATE ledger AS l
SET calendar_id = (
        SELECT c.id FROM calendars AS c WHERE c.mailbox_id = l.mailbox_id AND c.remote_id = e.calendar
    ),
    remote_id = e.remote_id, remote_version = NULL, drift = 'changed', content_hash = NULL, rewrites = 0,
    move_attempt = NULL, move_to = NULL
FROM mirror_events($1) AS e
WHERE e.kind = 'elsewhere' AND l.id = e.ledger_id AND l.sent_at IS NULL;

-- name: doubt
-- What does not hold what the ledger says by reading $1 is to be written again: the mailbox may be newer than the ledger.
UPDATE ledger AS l
SET drift = 'changed', content_hash = NULL, rewrites = 0
FROM mirror_events($1) AS e
WHERE e.kind IN ('changed', 'moved') AND l.id = e.ledger_id;

-- name: place
-- Where each event of reading $1 belongs that carries our marker and is unknown to the ledger, copies aside: to the
-- synchronization that the marker names, if that is here and has this mailbox; if that is a former one, to a current one
-- of the same user that wants the event. Otherwise to any current one that wants it, at $2.
WITH unknown AS (
    SELECT remote_id, mailbox_id, event, synchronization_id
    FROM mirror_events($1)
    WHERE kind IN ('foreign', 'duplicate')
),

wanted AS (
    SELECT w.synchronization_id, w.username, w.uid, event_identity(w.uid) AS event
    FROM readings AS r
    CROSS JOIN LATERAL wanted_events(r.mailbox_id, $2) AS w
    WHERE r.id = $1
),

placed AS (
    SELECT DISTINCT ON (u.remote_id)
        u.remote_id,
        CASE WHEN named.unlinked_at IS NULL THEN coalesce(named.id, w.synchronization_id)
            ELSE coalesce(w.synchronization_id, named.id) END AS synchronization_id,
        coalesce(w.uid, u.event) AS uid
    FROM unknown AS u
    LEFT JOIN synchronizations AS named ON named.id = u.synchronization_id AND named.mailbox_id = u.mailbox_id
    LEFT JOIN wanted AS w
        ON w.event = u.event AND CASE
            WHEN named.id IS NULL THEN true
            WHEN named.unlinked_at IS NULL THEN w.synchronization_id = named.id
            ELSE w.username = named.username
        END
    ORDER BY u.remote_id, w.synchronization_id
)

UPDATE mirror AS m
SET placed_in = placed.synchronization_id, placed_as = placed.uid
FROM placed
WHERE m.reading_id = $1 AND m.remote_id = placed.remote_id;

-- name: former
-- If something of reading $1 belongs nowhere and its mailbox has never had another synchronization than the current ones,
-- there is a former one from $2 on: what it holds is left alone, and a CLEANUP finds it.
INSERT INTO synchronizations (username, type, mailbox_id, address, created_at, unlinked_at)
SELECT s.username, s.type, s.mailbox_id, s.address, $2, $2
FROM readings AS r
JOIN synchronizations AS s ON s.mailbox_id = r.mailbox_id
WHERE r.id = $1
    AND EXISTS (SELECT FROM mirror WHERE reading_id = $1 AND placed_as IS NOT NULL AND placed_in IS NULL)
    AND NOT EXISTS (
        SELECT FROM synchronizations AS f WHERE f.mailbox_id = r.mailbox_id AND f.unlinked_at IS NOT NULL
    )
ORDER BY s.id DESC
LIMIT 1;

-- name: place_others
-- What of reading $1 belongs nowhere stays under the mailbox's latest former synchronization.
UPDATE mirror AS m
SET placed_in = (
    SELECT max(s.id) FROM synchronizations AS s
    JOIN readings AS r ON r.id = $1 AND r.mailbox_id = s.mailbox_id
    WHERE s.unlinked_at IS NOT NULL
)
WHERE m.reading_id = $1 AND m.placed_as IS NOT NULL AND m.placed_in IS NULL;

-- name: known_uids
-- A uid that is too long for a marker is known by the ledger, if not by the timetable.
UPDATE mirror AS m
SET placed_as = l.uid
FROM ledger AS l
WHERE m.reading_id = $1 AND m.placed_as LIKE 'sha256:%'
    AND l.synchronization_id = m.placed_in AND event_identity(l.uid) = m.placed_as AND l.uid <> m.placed_as;

-- name: correct
-- Rows whose event is not in reading $1, and which has the same event by another attempt: that one is it.
WITH first AS (
    SELECT DISTINCT ON (m.placed_in, m.placed_as) m.*
    FROM mirror AS m
    WHERE m.reading_id = $1 AND m.placed_in IS NOT NULL
    ORDER BY m.placed_in, m.placed_as,
        EXISTS (SELECT FROM lost_creates AS lost WHERE lost.attempt = m.attempt), m.position
)

UPDATE ledger AS l
SET state = CASE WHEN l.state = 'deleting' THEN 'deleting' ELSE 'present' END,
    attempt = first.attempt, calendar_id = (
        SELECT c.id FROM calendars AS c WHERE c.mailbox_id = l.mailbox_id AND c.remote_id = first.calendar
    ),
    remote_id = first.remote_id, remote_version = first.version,
    content = NULL, content_hash = NULL, possible = '{}', drift = 'changed', rewrites = 0,
    starts_at = (first.content ->> 'start')::timestamptz, ends_at = (first.content ->> 'end')::timestamptz,
    move_attempt = NULL, move_to = NULL, sent_at = NULL, sent_content = NULL, sent_hash = NULL,
    tries = 0, retry_at = NULL, refused_hash = NULL, error_code = NULL, error = NULL
FROM first
WHERE l.synchronization_id = first.placed_in AND l.uid = first.placed_as
    AND NOT EXISTS (SELECT FROM mirror AS m WHERE m.reading_id = $1 AND m.remote_id = l.remote_id)
RETURNING l.id;

-- name: adopt
-- Events of reading $1 that no row is about get one.
INSERT INTO ledger (
    synchronization_id, mailbox_id, calendar_id, uid, state, attempt, remote_id, remote_version, starts_at, ends_at, drift
)
SELECT DISTINCT ON (m.placed_in, m.placed_as)
    m.placed_in, r.mailbox_id, c.id, m.placed_as, 'present', m.attempt, m.remote_id, m.version,
    (m.content ->> 'start')::timestamptz, (m.content ->> 'end')::timestamptz, 'changed'
FROM mirror AS m
JOIN readings AS r ON r.id = m.reading_id
LEFT JOIN calendars AS c ON c.mailbox_id = r.mailbox_id AND c.remote_id = m.calendar
WHERE m.reading_id = $1 AND m.placed_in IS NOT NULL
ORDER BY m.placed_in, m.placed_as,
    EXISTS (SELECT FROM lost_creates AS lost WHERE lost.attempt = m.attempt), m.position
ON CONFLICT (synchronization_id, uid) DO NOTHING
RETURNING id;

-- name: ours
-- What reading $1 has shown to be an event of the ledger is not one that was lost.
DELETE FROM lost_creates AS lost
USING readings AS r, ledger AS l
WHERE r.id = $1 AND lost.mailbox_id = r.mailbox_id AND l.mailbox_id = r.mailbox_id AND l.attempt = lost.attempt;

-- name: extra
-- The other events of reading $1 for something that has its row are one too many: a worker takes them out, from $2 on.
INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at)
SELECT m.attempt, r.mailbox_id, c.id, $2
FROM mirror AS m
JOIN readings AS r ON r.id = m.reading_id
LEFT JOIN calendars AS c ON c.mailbox_id = r.mailbox_id AND c.remote_id = m.calendar
WHERE m.reading_id = $1 AND m.placed_in IS NOT NULL
    AND NOT EXISTS (SELECT FROM ledger AS l WHERE l.mailbox_id = r.mailbox_id AND l.remote_id = m.remote_id)
ON CONFLICT (attempt) DO UPDATE SET checks = 0, check_at = excluded.check_at
RETURNING attempt;
