-- name: begin
-- A new reading of mailbox $1, begun at $2, and the last complete one, to go on from. What was cut off goes.
WITH cut_off AS (
    DELETE FROM readings WHERE mailbox_id = $1 AND completed_at IS NULL
),

new AS (
    INSERT INTO readings (mailbox_id, begun_at) VALUES ($1, $2) RETURNING id
)

SELECT new.id, earlier.id AS earlier_id, coalesce(earlier.states, '{}') AS states
FROM new
LEFT JOIN readings AS earlier ON earlier.mailbox_id = $1 AND earlier.completed_at IS NOT NULL;

-- name: carry_over
-- Reading $1 begins, in the calendar $3, with what reading $2 has seen there.
INSERT INTO mirror
SELECT $1, m.remote_id, m.calendar, m.position, m.version, m.synchronization_id, m.event, m.attempt, m.changes, m.content,
    m.copied, NULL, NULL
FROM mirror AS m
WHERE m.reading_id = $2 AND m.calendar IS NOT DISTINCT FROM $3
ON CONFLICT DO NOTHING;

-- name: differing
-- What reading $1 has seen in the calendar $2 and is not known to be as it was pushed, with what it holds.
SELECT remote_id, content FROM mirror
WHERE reading_id = $1 AND calendar IS NOT DISTINCT FROM $2 AND content IS NOT NULL;

-- name: compared
-- The events $2 of reading $1 differ from what was pushed in the fields $3, separated by commas.
UPDATE mirror AS m
SET changes = string_to_array(compared.changes, ','),
    content = CASE WHEN compared.changes = '' THEN NULL ELSE m.content END
FROM unnest($2::text[], $3::text[]) AS compared (remote_id, changes)
WHERE m.reading_id = $1 AND m.remote_id = compared.remote_id;

-- name: start_over
-- Reading $1 has seen nothing yet in the calendar $2.
DELETE FROM mirror WHERE reading_id = $1 AND calendar IS NOT DISTINCT FROM $2;

-- name: removed
-- The events $3 are not in the calendar $2 any more, by reading $1.
DELETE FROM mirror WHERE reading_id = $1 AND calendar IS NOT DISTINCT FROM $2 AND remote_id = ANY($3::text[]);

-- name: next_position
-- Behind everything that reading $1 has seen.
SELECT coalesce(max(position), -1) + 1 FROM mirror WHERE reading_id = $1;

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
-- Reading $2 of mailbox $1 is complete at $3, and takes the place of the earlier ones; the next goes on from the states $4.
WITH earlier AS (
    DELETE FROM readings WHERE mailbox_id = $1 AND id <> $2
)

UPDATE readings SET completed_at = $3, states = $4 WHERE id = $2;

-- name: pushed
-- What the events $2 of mailbox $1 may hold, by the ledger.
SELECT remote_id, content, possible, sent_content
FROM ledger
WHERE mailbox_id = $1 AND remote_id = ANY($2::text[]) AND content IS NOT NULL;

-- name: store
-- Reading $1 has seen these events in the calendar $10: ids $2 at the positions $3 in the versions $4, with the markers $5
-- (synchronization), $6 (event) and $7 (attempt). $8 are the fields that differ, separated by commas, and $9 the content.
-- One that is listed twice (the provider's pages have moved, or it has changed) is one, where it was seen first; listed in
-- two calendars under one id (a listing may lag behind a move), it is in the one that the ledger says.
INSERT INTO mirror AS m (
    reading_id, calendar, remote_id, position, version, synchronization_id, event, attempt, changes, content
)
SELECT DISTINCT ON (seen.remote_id)
    $1, $10, seen.remote_id, seen.position, seen.version, seen.synchronization_id, seen.event, seen.attempt,
    string_to_array(seen.changes, ','), seen.content
FROM unnest(
    $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], $8::text[], $9::jsonb[]
) AS seen (remote_id, position, version, synchronization_id, event, attempt, changes, content)
ORDER BY seen.remote_id, seen.position DESC
ON CONFLICT (reading_id, remote_id) DO UPDATE SET
    version = excluded.version,
    synchronization_id = excluded.synchronization_id,
    event = excluded.event,
    attempt = excluded.attempt,
    calendar = excluded.calendar,
    changes = excluded.changes,
    content = excluded.content
WHERE m.calendar IS NOT DISTINCT FROM excluded.calendar OR EXISTS (
    SELECT FROM ledger AS l
    LEFT JOIN calendars AS c ON c.id = l.calendar_id
    WHERE l.mailbox_id = (SELECT r.mailbox_id FROM readings AS r WHERE r.id = $1)
        AND l.remote_id = excluded.remote_id AND c.remote_id IS NOT DISTINCT FROM excluded.calendar
);

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
-- Not where the policy ($2, unless the preferences name one) is to report.
UPDATE ledger AS l
SET drift = NULL, rewrites = 0,
    state = CASE WHEN l.error_code = 'never_equal' THEN 'present' ELSE l.state END,
    refused_hash = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.refused_hash END,
    error = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.error END,
    error_code = CASE WHEN l.error_code = 'never_equal' THEN NULL ELSE l.error_code END
FROM mirror_events($1) AS e, synchronizations AS s
WHERE e.kind = 'same' AND e.changes = '{}' AND l.id = e.ledger_id
    AND s.id = l.synchronization_id AND coalesce(s.preferences ->> 'sync.people', $2) <> 'report'
    AND (l.drift IS NOT NULL OR l.rewrites > 0);

-- name: tell
-- The history of what is missing (and may not have been moved) or changed by reading $1, and was not before, hears of it at
-- $3. $2 is the policy, as above.
INSERT INTO history (synchronization_id, uid, operation, outcome, first_at, at, code, reason)
SELECT l.synchronization_id, l.uid, 'read', CASE WHEN d.gone THEN 'gone' ELSE 'changed' END, $3, $3, d.kind, concat(
    CASE
        WHEN d.kind = 'missing' THEN 'The event was not in the calendar any more'
        WHEN d.gone THEN 'The event was in another calendar'
        ELSE 'The event was not as it had been written (' || array_to_string(d.changes, ', ') || ')'
    END,
    CASE
        WHEN s.unlinked_at IS NOT NULL THEN '.'
        WHEN coalesce(s.preferences ->> 'sync.people', $2) = 'respect' THEN
            ': that is respected until the timetable changes it.'
        WHEN d.gone THEN ': it is created anew.'
        ELSE ': it is written again.'
    END
)
FROM mirror_differences($1) AS d
JOIN ledger AS l ON l.id = d.ledger_id
JOIN synchronizations AS s ON s.id = l.synchronization_id
WHERE (d.gone AND l.move_attempt IS NULL OR NOT d.gone AND d.kind IN ('changed', 'moved'))
    AND l.drift IS DISTINCT FROM CASE WHEN d.gone THEN 'missing' ELSE 'changed' END
    AND coalesce(s.preferences ->> 'sync.people', $2) <> 'report';

-- name: note_drift
-- What is missing (and may not have been moved) or changed by reading $1 is noted as such. Nothing is planned because of it. $2 is the policy, as above.
UPDATE ledger AS l
SET drift = CASE WHEN d.gone THEN 'missing' ELSE 'changed' END
FROM mirror_differences($1) AS d, synchronizations AS s
WHERE (d.gone AND l.move_attempt IS NULL OR NOT d.gone AND d.kind IN ('changed', 'moved')) AND l.id = d.ledger_id
    AND l.drift IS DISTINCT FROM CASE WHEN d.gone THEN 'missing' ELSE 'changed' END
    AND s.id = l.synchronization_id AND coalesce(s.preferences ->> 'sync.people', $2) <> 'report';

-- name: quarantine
-- What is changed by reading $1 although it was written $2 times for that reason, one time after the other, is not written
-- again before the timetable changes it: $3 says so, in a sentence. Where the policy ($4) is to restore.
UPDATE ledger AS l
SET state = 'refused', refused_hash = l.content_hash, error_code = 'never_equal', error = $3, rewrites = 0
FROM mirror_events($1) AS e
JOIN synchronizations AS s ON s.mailbox_id = e.mailbox_id AND s.unlinked_at IS NULL
WHERE e.kind IN ('changed', 'moved') AND l.id = e.ledger_id AND l.synchronization_id = s.id
    AND coalesce(s.preferences ->> 'sync.people', $4) = 'restore'
    AND l.state = 'present' AND l.sent_at IS NULL AND l.content_hash IS NOT NULL AND l.rewrites >= $2;

-- name: rewrite_changed
-- What is changed by reading $1 is to be written again, whatever it holds now, where the policy ($2) is to restore.
UPDATE ledger AS l
SET content_hash = NULL, rewrites = l.rewrites + 1
FROM mirror_events($1) AS e
JOIN synchronizations AS s ON s.mailbox_id = e.mailbox_id AND s.unlinked_at IS NULL
WHERE e.kind IN ('changed', 'moved') AND l.id = e.ledger_id AND l.synchronization_id = s.id
    AND coalesce(s.preferences ->> 'sync.people', $2) = 'restore'
    AND l.state = 'present' AND l.sent_at IS NULL AND l.content_hash IS NOT NULL;

-- name: missing
-- Ledger rows whose events are gone by reading $1: of current synchronizations, or of former ones ($2), where the policy
-- ($3) is one of $4. What may have been moved is elsewhere at most.
SELECT l.id
FROM mirror_differences($1) AS d
JOIN ledger AS l ON l.id = d.ledger_id
JOIN synchronizations AS s ON s.id = l.synchronization_id
WHERE d.gone AND l.sent_at IS NULL AND l.move_attempt IS NULL
    AND (s.unlinked_at IS NOT NULL) = $2::boolean
    AND coalesce(s.preferences ->> 'sync.people', $3) = ANY($4::text[]);

-- name: late_arrivals
-- Creates that were looked for often enough, and that reading $1 of mailbox $2 has found: a worker takes them out, from $3
-- on.
UPDATE lost_creates AS lost SET check_at = $3
FROM mirror AS m
WHERE m.reading_id = $1 AND m.attempt = lost.attempt AND NOT m.copied
    AND lost.mailbox_id = $2 AND lost.check_at IS NULL;

-- name: forget
-- These ledger rows ($1) are of events that are gone, and that nobody wants back.
DELETE FROM ledger WHERE id = ANY($1::bigint[]);

-- name: is_due
-- Whether mailbox $1 was last read, or first used, before $2, and is in use.
SELECT coalesce(
    (SELECT max(completed_at) FROM readings WHERE mailbox_id = $1), min(created_at)
) < $2
FROM synchronizations
WHERE mailbox_id = $1 AND unlinked_at IS NULL AND enabled;

-- name: asked
-- The runs that wait for a reading of mailbox $1, and the names of the calendars that they want to be read.
SELECT a.run_id, a.calendars FROM refreshes AS a
JOIN runs AS r ON r.id = a.run_id AND r.state = 'active'
WHERE a.mailbox_id = $1
ORDER BY a.run_id;

-- name: ask
-- A reading of the mailbox of synchronization $1 (of the calendars $3, if any are named) is wanted, from $2 on; returns its
-- run and mailbox.
WITH run AS (
    INSERT INTO runs (kind, created_at, total) VALUES ('refresh', $2, 1) RETURNING id
)

INSERT INTO refreshes (run_id, mailbox_id, calendars)
SELECT run.id, s.mailbox_id, $3 FROM run, synchronizations AS s WHERE s.id = $1
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

-- name: fail
-- Run $1 has failed at $2, for the reason $3.
WITH over AS (
    DELETE FROM refreshes WHERE run_id = $1
),

failed AS (
    UPDATE runs SET state = 'failed', finished_at = $2, last_error = $3
    WHERE id = $1 AND state = 'active'
    RETURNING id
)

SELECT pg_notify('rooster_run', id::text) FROM failed;

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
