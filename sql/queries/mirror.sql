-- name: begin
-- A new reading of mailbox $1, begun at $2. What an earlier one left that was cut off goes.
WITH cut_off AS (
    DELETE FROM readings WHERE mailbox_id = $1 AND completed_at IS NULL
)

INSERT INTO readings (mailbox_id, begun_at) VALUES ($1, $2) RETURNING id;

-- name: discard
-- Reading $1 was cut off.
DELETE FROM readings WHERE id = $1 AND completed_at IS NULL;

-- name: known_copies
-- What an earlier reading of mailbox $1 has found to be a copy is one in reading $2 as well.
UPDATE mirror AS m
SET copied = true
FROM mirror AS known
JOIN readings AS r ON r.id = known.reading_id
WHERE r.mailbox_id = $1 AND r.id <> $2 AND known.copied AND m.reading_id = $2 AND m.remote_id = known.remote_id;

-- name: copies
-- What is a copy by reading $1 is noted as one.
UPDATE mirror AS m
SET copied = true
FROM mirror_events($1) AS e
WHERE e.kind = 'copied' AND m.reading_id = $1 AND m.remote_id = e.remote_id AND NOT m.copied;

-- name: complete
-- Reading $2 of mailbox $1 is complete at $3, and takes the place of the earlier ones.
WITH earlier AS (
    DELETE FROM readings WHERE mailbox_id = $1 AND id <> $2
)

UPDATE readings SET completed_at = $3 WHERE id = $2;

-- name: pushed
-- What the events $2 of mailbox $1 may hold, by the ledger.
SELECT remote_id, content, possible, sent_content
FROM ledger
WHERE mailbox_id = $1 AND remote_id = ANY($2::text[]) AND content IS NOT NULL;

-- name: store
-- Reading $1 has seen these events: ids $2 at the positions $3 in the versions $4, with the markers $5 (synchronization), $6
-- (event) and $7 (attempt). $8 are the fields that differ, separated by commas, and $9 the content. One that is listed twice
-- (the provider's pages have moved) is one.
INSERT INTO mirror (
    reading_id, remote_id, position, version, synchronization_id, event, attempt, changes, content
)
SELECT $1, seen.remote_id, seen.position, seen.version, seen.synchronization_id, seen.event, seen.attempt,
    string_to_array(seen.changes, ','), seen.content
FROM unnest(
    $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], $8::text[], $9::jsonb[]
) AS seen (remote_id, position, version, synchronization_id, event, attempt, changes, content)
ON CONFLICT (reading_id, remote_id) DO NOTHING;

-- name: drift
-- How many events reading $1 has seen, and how many differ from the ledger, by kind.
SELECT kind, count(*) AS events FROM mirror_differences($1) GROUP BY kind
UNION ALL
SELECT 'events', count(*) FROM mirror WHERE reading_id = $1;

-- name: differences
-- Where reading $1 and the ledger differ, event by event.
SELECT kind, synchronization_id, uid, remote_id, changes
FROM mirror_differences($1)
ORDER BY synchronization_id, uid, kind, remote_id;

-- name: equal
-- What is as it was pushed by reading $1: it is not written for that reason any more, and one that was quarantined is free.
UPDATE ledger AS l
SET drift = NULL, rewrites = 0,
    state = CASE WHEN l.error_code = 'never_equal' THEN 'present' ELSE l.state END,
    refused_hash = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.refused_hash END,
    error = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.error END,
    error_code = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.error_code END
FROM mirror_events($1) AS e
WHERE e.kind = 'same' AND e.changes = '{}' AND l.id = e.ledger_id
    AND (l.drift IS NOT NULL OR l.rewrites > 0);

-- name: note_drift
-- What is missing or changed by reading $1 is noted as such. Nothing is planned because of it.
UPDATE ledger AS l
SET drift = d.kind
FROM mirror_differences($1) AS d
WHERE d.kind IN ('missing', 'changed') AND l.id = d.ledger_id AND l.drift IS DISTINCT FROM d.kind;

-- name: quarantine
-- What is changed by reading $1 although it was written $2 times for that reason, one time after the other, is not written
-- again before the timetable changes it: $3 says so, in a sentence.
UPDATE ledger AS l
SET state = 'refused', refused_hash = l.content_hash, error_code = 'never_equal', error = $3, rewrites = 0
FROM mirror_events($1) AS e
JOIN synchronizations AS s ON s.mailbox_id = e.mailbox_id AND s.unlinked_at IS NULL
WHERE e.kind = 'changed' AND l.id = e.ledger_id AND l.synchronization_id = s.id
    AND l.state = 'present' AND l.sent_at IS NULL AND l.content_hash IS NOT NULL AND l.rewrites >= $2;

-- name: rewrite_changed
-- What is changed by reading $1 is to be written again, whatever it holds now.
UPDATE ledger AS l
SET content_hash = NULL, rewrites = l.rewrites + 1
FROM mirror_events($1) AS e
JOIN synchronizations AS s ON s.mailbox_id = e.mailbox_id AND s.unlinked_at IS NULL
WHERE e.kind = 'changed' AND l.id = e.ledger_id AND l.synchronization_id = s.id
    AND l.state = 'present' AND l.sent_at IS NULL AND l.content_hash IS NOT NULL;

-- name: missing
-- Ledger rows whose events are missing by reading $1: of current synchronizations, or of former ones ($2).
SELECT l.id
FROM mirror_differences($1) AS d
JOIN ledger AS l ON l.id = d.ledger_id
JOIN synchronizations AS s ON s.id = l.synchronization_id
WHERE d.kind = 'missing' AND l.sent_at IS NULL
    AND (s.unlinked_at IS NOT NULL) = $2::boolean;

-- name: forget
-- These ledger rows ($1) are of events that are gone, and that nobody wants back.
DELETE FROM ledger WHERE id = ANY($1::bigint[]);

-- name: asked
-- The runs that wait for a reading of mailbox $1.
SELECT a.run_id FROM refreshes AS a
JOIN runs AS r ON r.id = a.run_id AND r.state = 'active'
WHERE a.mailbox_id = $1
ORDER BY a.run_id;

-- name: ask
-- A reading of the mailbox of synchronization $1 is wanted, from $2 on; returns its run and mailbox.
WITH run AS (
    INSERT INTO runs (kind, created_at, total) VALUES ('refresh', $2, 1) RETURNING id
)

INSERT INTO refreshes (run_id, mailbox_id)
SELECT run.id, s.mailbox_id FROM run, synchronizations AS s WHERE s.id = $1
RETURNING run_id, mailbox_id;

-- name: answer
-- The runs $1 have had their reading at $2; $3 is what it found.
WITH over AS (
    DELETE FROM refreshes WHERE run_id = ANY($1::bigint[])
),

done AS (
    UPDATE runs SET state = 'done', done = 1, finished_at = $2, drift = $3, last_error = NULL
    WHERE id = ANY($1::bigint[]) AND state = 'active'
    RETURNING id
)

SELECT pg_notify('rooster_run', id::text) FROM done;

-- name: trouble
-- Why mailbox $1 could not be read, at $3, in a sentence ($2). Where somebody has to do something first ($4), the runs that
-- waited for it have failed; otherwise they go on waiting.
WITH trouble AS (
    UPDATE runs
    SET last_error = $2,
        state = CASE WHEN $4::boolean THEN 'failed' ELSE state END,
        finished_at = CASE WHEN $4::boolean THEN $3::timestamptz END
    WHERE id IN (SELECT run_id FROM refreshes WHERE mailbox_id = $1) AND state = 'active'
    RETURNING id, state
),

over AS (
    DELETE FROM refreshes WHERE run_id IN (SELECT id FROM trouble WHERE state = 'failed')
)

SELECT pg_notify('rooster_run', id::text) FROM trouble;

-- name: count_mailboxes
-- How many mailboxes the following finds.
SELECT count(DISTINCT mailbox_id) FROM synchronizations
WHERE ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR username = $2);

-- name: mailboxes
-- The mailboxes of synchronization $1, or of user $2 (earlier ones included); of everybody where both are null. The next
-- $4 after the id $3.
SELECT m.id, m.type, m.address FROM mailboxes AS m
WHERE m.id > $3 AND EXISTS (
    SELECT FROM synchronizations AS s
    WHERE s.mailbox_id = m.id
        AND ($1::bigint IS NULL OR s.id = $1) AND ($2::text IS NULL OR s.username = $2)
)
ORDER BY m.id
LIMIT $4;
