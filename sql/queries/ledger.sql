-- name: unknown
-- What was sent from mailbox $1 and never answered: the truth about it is to be found.
SELECT
    l.id, l.state, l.attempt, l.remote_id, l.content, l.sent_content, l.calendar_id, c.remote_id AS calendar,
    l.move_attempt, l.move_to, m.remote_id AS move_calendar
FROM ledger AS l
LEFT JOIN calendars AS c ON c.id = l.calendar_id
LEFT JOIN calendars AS m ON m.id = l.move_to
WHERE l.mailbox_id = $1 AND l.sent_at IS NOT NULL
ORDER BY l.id;

-- name: settle_carried_out
-- These creates and updates ($1) had been carried out: the event is there under the id $2. In which version it held
-- nothing but ours, nobody knows: the person may have put notes into it by now.
UPDATE ledger
SET state = 'present', remote_id = found.remote_id, remote_version = NULL,
    content = sent_content, content_hash = sent_hash,
    starts_at = (sent_content ->> 'start')::timestamptz, ends_at = (sent_content ->> 'end')::timestamptz,
    pushed_at = sent_at, possible = '{}', drift = NULL, sent_at = NULL, sent_content = NULL, sent_hash = NULL,
    tries = 0, retry_at = NULL, refused_hash = NULL, error_code = NULL, error = NULL
FROM unnest($1::bigint[], $2::text[]) AS found (id, remote_id)
WHERE ledger.id = found.id;

-- name: settle_resend
-- These ($1) were not carried out, or it does no harm to send them again with the same identity.
-- A create might yet arrive.
UPDATE ledger
SET sent_at = NULL, sent_content = NULL, sent_hash = NULL, may_arrive = (state = 'creating')
WHERE id = ANY($1::bigint[]);

-- name: settle_lost
-- These creates ($1) cannot be seen, but might yet arrive: each gets a new attempt, and the old one is looked for
-- again from $2 on.
WITH lost AS (
    INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at)
    SELECT attempt, mailbox_id, calendar_id, $2 FROM ledger WHERE id = ANY($1::bigint[])
)

UPDATE ledger
SET attempt = gen_random_uuid(), may_arrive = false, sent_at = NULL, sent_content = NULL, sent_hash = NULL
WHERE id = ANY($1::bigint[]);

-- name: settle_updated
-- These updates ($1) may or may not have been carried out; the event is there in version $2. What it holds is not
-- known for sure any more: the content, or what was sent.
UPDATE ledger
SET state = 'updating', content_hash = NULL, possible = possible || sent_content,
    remote_version = found.remote_version,
    sent_at = NULL, sent_content = NULL, sent_hash = NULL
FROM unnest($1::bigint[], $2::text[]) AS found (id, remote_version)
WHERE ledger.id = found.id;

-- name: moved
-- These ($1) were put into the other calendar, and have the id $2 there. In which version it holds nothing but ours,
-- nobody knows. Where that was done by copying, the originals may still be there: they are taken out, from $3 on; if that
-- is null, they are gone.
WITH originals AS (
    INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at, remote_id)
    SELECT attempt, mailbox_id, calendar_id, $3, remote_id
    FROM ledger
    WHERE id = ANY($1::bigint[]) AND attempt <> move_attempt AND $3::timestamptz IS NOT NULL
    ON CONFLICT (attempt) DO UPDATE SET
        calendar_id = excluded.calendar_id, check_at = excluded.check_at, remote_id = excluded.remote_id
)

UPDATE ledger
SET state = CASE state WHEN 'updating' THEN 'present' ELSE state END,
    attempt = move_attempt, calendar_id = move_to, remote_id = moved.remote_id, remote_version = NULL,
    move_attempt = NULL, move_to = NULL, may_arrive = false,
    sent_at = NULL, sent_content = NULL, sent_hash = NULL,
    tries = 0, retry_at = NULL, refused_hash = NULL, error_code = NULL, error = NULL
FROM unnest($1::bigint[], $2::text[]) AS moved (id, remote_id)
WHERE ledger.id = moved.id;

-- name: settle_move_again
-- These moves ($1) were not carried out, and might yet be: they are sent again.
UPDATE ledger
SET may_arrive = true, sent_at = NULL, sent_content = NULL, sent_hash = NULL
WHERE id = ANY($1::bigint[]);

-- name: settle_move_lost
-- The copies that these moves ($1) were to make cannot be seen, but might yet arrive: they are looked for from $2 on. The
-- events are where they were.
WITH lost AS (
    INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at)
    SELECT move_attempt, mailbox_id, move_to, $2 FROM ledger WHERE id = ANY($1::bigint[])
)

UPDATE ledger
SET move_attempt = NULL, move_to = NULL, sent_at = NULL, sent_content = NULL, sent_hash = NULL
WHERE id = ANY($1::bigint[]);

-- name: lost
-- Creates believed lost in mailbox $1 that are to be looked for at $2.
SELECT l.attempt, l.remote_id, l.calendar_id, c.remote_id AS calendar
FROM lost_creates AS l
LEFT JOIN calendars AS c ON c.id = l.calendar_id
WHERE l.mailbox_id = $1 AND l.check_at <= $2;

-- name: lost_found
-- The creates $1, believed lost, have made the events $2.
UPDATE lost_creates SET remote_id = found.remote_id
FROM unnest($1::uuid[], $2::text[]) AS found (attempt, remote_id)
WHERE lost_creates.attempt = found.attempt;

-- name: lost_checked
-- The creates $1 were looked for at $2. Those that were found are taken out: an attempt is sent once, and arrives once.
-- The others are looked for again after $3, five times as long each time, until there were $4 looks; what a reading of
-- the mailbox finds after that is recognised by its row. Those that the provider does not let go ($5) are tried for good.
WITH over AS (
    DELETE FROM lost_creates WHERE attempt = ANY($1::uuid[]) AND attempt <> ALL($5::uuid[]) AND remote_id IS NOT NULL
)

UPDATE lost_creates
SET checks = checks + 1,
    check_at = CASE WHEN checks + 1 < $4::integer OR remote_id IS NOT NULL
        THEN $2::timestamptz + $3::interval * 5 ^ least(checks + 1, $4::integer) END
WHERE attempt = ANY($1::uuid[]) AND (remote_id IS NULL OR attempt = ANY($5::uuid[]));

-- name: mark_unlinks
-- What the open unlinkings of mailbox $1 take out is marked as deleting, in the order in which they were accepted.
WITH marked AS (
    UPDATE ledger AS l
    SET state = 'deleting', unlink_id = (
        SELECT min(u.id) FROM unlinks AS u
        WHERE u.mailbox_id = $1 AND u.done_at IS NULL
            AND unlink_removes(u.mode, u.accepted_at, u.synchronization_id = l.synchronization_id, l.starts_at)
    ), tries = 0, retry_at = NULL
    WHERE l.mailbox_id = $1 AND l.unlink_id IS NULL AND l.remote_id IS NOT NULL AND EXISTS (
        SELECT FROM unlinks AS u
        WHERE u.mailbox_id = $1 AND u.done_at IS NULL AND u.marked_at IS NULL
            AND unlink_removes(u.mode, u.accepted_at, u.synchronization_id = l.synchronization_id, l.starts_at)
    )
)

UPDATE unlinks SET marked_at = $2
WHERE mailbox_id = $1 AND done_at IS NULL AND marked_at IS NULL;

-- name: finish_unlinks
-- The unlinkings of mailbox $1 that have nothing left to take out are done at $2; returns their runs. A CLEANUP where
-- there are calendars of ours is done when a run could be completed ($3): they may have to be removed.
UPDATE unlinks AS u
SET done_at = $2
WHERE u.mailbox_id = $1 AND u.marked_at IS NOT NULL AND u.done_at IS NULL
    AND NOT EXISTS (
        SELECT FROM ledger AS l
        WHERE l.mailbox_id = $1 AND l.state = 'deleting' AND l.unlink_id <= u.id
    )
    AND (
        $3::boolean OR u.mode <> 'CLEANUP'
        OR NOT EXISTS (SELECT FROM calendars AS c WHERE c.mailbox_id = $1 AND c.remote_id IS NOT NULL)
    )
RETURNING u.run_id;

-- name: drop_unsent
-- What nobody has sent yet from mailbox $1, and nobody wants any more at $2, is forgotten. What was sent and might yet
-- arrive is looked for from $3 on.
WITH wanted AS MATERIALIZED (
    SELECT synchronization_id, uid FROM wanted_events($1, $2)
),

dropped AS (
    DELETE FROM ledger AS l
    WHERE l.mailbox_id = $1 AND l.remote_id IS NULL AND l.sent_at IS NULL
        AND NOT EXISTS (
            SELECT FROM wanted AS w WHERE w.synchronization_id = l.synchronization_id AND w.uid = l.uid
        )
    RETURNING l.attempt, l.mailbox_id, l.calendar_id, l.may_arrive
)

INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at)
SELECT attempt, mailbox_id, calendar_id, $3 FROM dropped WHERE may_arrive;

-- name: rest_unlinked
-- What was planned for synchronizations of mailbox $1 that are unlinked now, and is no part of an unlinking, rests.
UPDATE ledger AS l
SET state = 'present', tries = 0, retry_at = NULL
FROM synchronizations AS s
WHERE l.mailbox_id = $1 AND s.mailbox_id = $1 AND s.id = l.synchronization_id AND s.unlinked_at IS NOT NULL
    AND l.state IN ('updating', 'deleting', 'refused') AND l.unlink_id IS NULL
    AND l.sent_at IS NULL AND l.remote_id IS NOT NULL;

-- name: hold
-- The guard against emptying calendars: a synchronization of mailbox $1 is held if what is to go from it at $2 is more
-- than the share $3 of its future events, and more than $4 events, unless an administrator has approved that. What is
-- not in the timetable any more does not count if whoever published it has confirmed that; what the preferences leave
-- out always does. A held one comes free by itself when what is wanted is whole again.
WITH future AS (
    SELECT
        s.id, u.confirmed_revision IS NOT DISTINCT FROM u.timetable_revision AS confirmed,
        count(l.id) AS events,
        count(l.id) FILTER (WHERE w.uid IS NULL) AS removed,
        count(l.id) FILTER (WHERE w.uid IS NULL AND t.uid IS NOT NULL) AS left_out
    FROM synchronizations AS s
    LEFT JOIN users AS u USING (username)
    LEFT JOIN ledger AS l
        ON l.synchronization_id = s.id AND l.remote_id IS NOT NULL AND l.unlink_id IS NULL AND l.starts_at > $2
    LEFT JOIN timetable_events AS t ON t.username = s.username AND t.uid = l.uid AND NOT t.cancelled
    LEFT JOIN wanted_events($1, $2) AS w ON w.synchronization_id = s.id AND w.uid = l.uid
    WHERE s.mailbox_id = $1 AND s.unlinked_at IS NULL AND s.enabled
    GROUP BY s.id, u.username
),

counted AS (
    SELECT id, events, left_out, CASE WHEN confirmed THEN left_out ELSE removed END AS removed FROM future
),

decided AS (
    SELECT
        s.id,
        NOT s.approved AND counted.removed > $4::integer AND counted.removed > $3::float8 * counted.events AS held,
        format(
            '%s would remove %s of %s future events. Approve that by POST /api/v1/synchronizations/%s/approve, or %s.',
            CASE WHEN counted.left_out < counted.removed THEN 'The timetable' ELSE 'The preferences' END,
            counted.removed, counted.events, s.id,
            CASE
                WHEN counted.left_out < counted.removed THEN 'publish the timetable anew' ELSE 'change the preferences'
            END
        ) AS reason
    FROM counted
    JOIN synchronizations AS s USING (id)
)

UPDATE synchronizations AS s
SET held = coalesce(decided.held, false),
    status = CASE WHEN decided.held THEN 'HELD' WHEN s.status = 'HELD' THEN 'PENDING' ELSE s.status END,
    last_error = CASE WHEN decided.held THEN decided.reason WHEN s.status <> 'HELD' THEN s.last_error END
FROM decided
WHERE s.id = decided.id AND (s.held IS DISTINCT FROM coalesce(decided.held, false) OR s.held);

-- name: adopt
-- Events that a user's earlier synchronizations left in mailbox $1 and that are still wanted at $2 become the current
-- one's.
WITH left_behind AS (
    SELECT DISTINCT ON (w.synchronization_id, l.uid) l.id, w.synchronization_id
    FROM wanted_events($1, $2) AS w
    JOIN synchronizations AS o
        ON o.mailbox_id = $1 AND o.username = w.username AND o.unlinked_at IS NOT NULL
    JOIN ledger AS l ON l.synchronization_id = o.id AND l.mailbox_id = $1 AND l.uid = w.uid
    WHERE w.enabled AND NOT w.held AND l.state = 'present'
        AND NOT EXISTS (
            SELECT FROM ledger AS x WHERE x.synchronization_id = w.synchronization_id AND x.uid = l.uid
        )
    ORDER BY w.synchronization_id, l.uid, o.id DESC
)

UPDATE ledger AS l
SET synchronization_id = left_behind.synchronization_id
FROM left_behind
WHERE l.id = left_behind.id;

-- name: plan_creates
-- Wanted in mailbox $1 at $2 and not in the ledger: to be created.
INSERT INTO ledger (synchronization_id, mailbox_id, calendar_id, uid, state)
SELECT w.synchronization_id, $1, w.calendar_id, w.uid, 'creating'
FROM wanted_events($1, $2) AS w
WHERE w.enabled AND NOT w.held AND NOT w.past
    AND NOT EXISTS (
        SELECT FROM ledger AS l WHERE l.synchronization_id = w.synchronization_id AND l.uid = w.uid
    );

-- name: plan_changes
-- Wanted in mailbox $1 at $2 and in the ledger, but not as it should be: to be created, updated, moved to another calendar
-- (an update as well), or left as it is again. What is past would not be put into another calendar, so it stays where it
-- is; and nothing moves before the other calendar is there. What was refused waits until the timetable changes it, unless it
-- is as it should be where it is.
WITH wanted AS (
    SELECT l.id, w.calendar_id, CASE
        WHEN l.remote_id IS NULL THEN 'creating'
        WHEN l.move_attempt IS NOT NULL THEN 'updating'
        WHEN l.calendar_id IS DISTINCT FROM w.calendar_id AND NOT w.past
            AND (w.calendar_id IS NULL OR c.remote_id IS NOT NULL) THEN 'updating'
        WHEN l.content_hash = w.content_hash THEN 'present'
        ELSE 'updating'
    END AS state
    FROM wanted_events($1, $2) AS w
    JOIN ledger AS l ON l.synchronization_id = w.synchronization_id AND l.uid = w.uid
    LEFT JOIN calendars AS c ON c.id = w.calendar_id
    WHERE w.enabled AND NOT w.held
        AND l.sent_at IS NULL AND l.unlink_id IS NULL
        AND (
            l.state <> 'refused' OR l.refused_hash IS DISTINCT FROM w.content_hash
            OR (
                l.content_hash = w.content_hash AND (w.past OR l.calendar_id IS NOT DISTINCT FROM w.calendar_id)
                AND l.error_code IS DISTINCT FROM 'never_equal'
            )
        )
),

lost AS (
    INSERT INTO lost_creates (attempt, mailbox_id, calendar_id, check_at)
    SELECT l.attempt, l.mailbox_id, l.calendar_id, $3
    FROM wanted
    JOIN ledger AS l USING (id)
    WHERE wanted.state = 'creating' AND l.may_arrive AND l.calendar_id IS DISTINCT FROM wanted.calendar_id
)

UPDATE ledger AS l
SET attempt = CASE
        WHEN wanted.state = 'creating' AND l.may_arrive AND l.calendar_id IS DISTINCT FROM wanted.calendar_id
            THEN gen_random_uuid()
        ELSE l.attempt
    END,
    may_arrive = l.may_arrive AND l.calendar_id IS NOT DISTINCT FROM wanted.calendar_id,
    state = wanted.state, tries = 0, retry_at = NULL, refused_hash = NULL, error_code = NULL, error = NULL,
    calendar_id = CASE WHEN wanted.state = 'creating' THEN wanted.calendar_id ELSE l.calendar_id END
FROM wanted
WHERE l.id = wanted.id AND (
    l.state <> wanted.state OR (wanted.state = 'creating' AND l.calendar_id IS DISTINCT FROM wanted.calendar_id)
);

-- name: plan_removals
-- In mailbox $1 by the ledger, and not wanted any more at $2: to be deleted.
WITH wanted AS MATERIALIZED (
    SELECT synchronization_id, uid FROM wanted_events($1, $2)
)

UPDATE ledger AS l
SET state = 'deleting', tries = 0, retry_at = NULL
FROM synchronizations AS s
WHERE l.mailbox_id = $1 AND s.mailbox_id = $1 AND s.id = l.synchronization_id AND s.unlinked_at IS NULL AND s.enabled AND NOT s.held
    AND l.state <> 'deleting' AND l.sent_at IS NULL AND l.remote_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM wanted AS w WHERE w.synchronization_id = l.synchronization_id AND w.uid = l.uid);

-- name: pending
-- How many operations of mailbox $1 could be sent at $3; counts no further than $2. What belongs into a calendar that is
-- not there waits for that.
SELECT count(*) FROM (
    SELECT FROM ledger AS l
    JOIN synchronizations AS s ON s.id = l.synchronization_id
    LEFT JOIN calendars AS c ON c.id = l.calendar_id
    WHERE l.mailbox_id = $1 AND l.state IN ('creating', 'updating', 'deleting') AND l.sent_at IS NULL
        AND (l.retry_at IS NULL OR l.retry_at <= $3)
        AND (l.unlink_id IS NOT NULL OR (s.unlinked_at IS NULL AND s.enabled AND NOT s.held))
        AND (l.calendar_id IS NULL OR c.remote_id IS NOT NULL)
    LIMIT $2
) AS ready;

-- name: send
-- The next at most $2 operations of mailbox $1 are noted as sent at $3, before the provider hears of them: deletions
-- first, then updates, then what begins soonest. What holds what it is to hold moves to the calendar that it is wanted in,
-- under an attempt of its own where the provider moves by copying ($4). A move that might yet arrive goes before anything
-- else, as afterwards it cannot any more.
WITH work AS (
    SELECT
        l.id, w.content, w.content_hash, c.remote_id AS calendar, m.remote_id AS move_calendar, move.*,
        CASE WHEN move.again THEN l.move_to ELSE w.calendar_id END AS move_to
    FROM ledger AS l
    JOIN synchronizations AS s ON s.id = l.synchronization_id
    LEFT JOIN calendars AS c ON c.id = l.calendar_id
    LEFT JOIN wanted_events($1, $3) AS w
        ON w.synchronization_id = l.synchronization_id AND w.uid = l.uid AND l.state <> 'deleting'
    LEFT JOIN calendars AS m ON m.id = CASE WHEN l.move_attempt IS NULL THEN w.calendar_id ELSE l.move_to END
    CROSS JOIN LATERAL (
        SELECT l.move_attempt IS NOT NULL AS again, l.remote_id IS NOT NULL AND CASE
            WHEN l.move_attempt IS NOT NULL THEN l.move_to IS NULL OR m.remote_id IS NOT NULL
            ELSE l.state = 'updating' AND l.content_hash IS NOT DISTINCT FROM w.content_hash AND NOT w.past
                AND l.calendar_id IS DISTINCT FROM w.calendar_id
                AND (w.calendar_id IS NULL OR m.remote_id IS NOT NULL)
        END AS moves
    ) AS move
    WHERE l.mailbox_id = $1 AND l.state IN ('creating', 'updating', 'deleting') AND l.sent_at IS NULL
        AND (l.retry_at IS NULL OR l.retry_at <= $3)
        AND (l.unlink_id IS NOT NULL OR (s.unlinked_at IS NULL AND s.enabled AND NOT s.held))
        AND (l.state = 'deleting' OR w.uid IS NOT NULL)
        AND (l.calendar_id IS NULL OR c.remote_id IS NOT NULL)
    ORDER BY array_position(ARRAY['deleting', 'updating', 'creating'], l.state), w.starts_at, l.id
    LIMIT $2
)

UPDATE ledger AS l
SET sent_at = $3, sent_content = CASE WHEN NOT work.moves THEN work.content END, sent_hash = work.content_hash,
    move_attempt = CASE WHEN work.moves THEN coalesce(
        l.move_attempt, CASE WHEN $4::boolean THEN gen_random_uuid() ELSE l.attempt END
    ) END,
    move_to = CASE WHEN work.moves THEN work.move_to END,
    may_arrive = l.may_arrive AND (l.remote_id IS NULL OR (work.moves AND work.again)),
    starts_at = CASE WHEN l.content IS NULL THEN (work.content ->> 'start')::timestamptz ELSE l.starts_at END,
    ends_at = CASE WHEN l.content IS NULL THEN (work.content ->> 'end')::timestamptz ELSE l.ends_at END
FROM work
WHERE l.id = work.id
RETURNING l.id, l.state, l.synchronization_id, l.uid, l.attempt, l.remote_id, l.remote_version,
    l.content, l.possible, l.sent_content, l.tries, l.drift, l.calendar_id, work.calendar,
    work.again, l.move_attempt, l.move_to, work.move_calendar;

-- name: written
-- The provider has created or updated these ($1): they have the id $2 and the version $3 now.
UPDATE ledger
SET state = 'present', remote_id = done.remote_id, remote_version = done.remote_version,
    content = sent_content, content_hash = sent_hash,
    starts_at = (sent_content ->> 'start')::timestamptz, ends_at = (sent_content ->> 'end')::timestamptz,
    pushed_at = $4, possible = '{}', drift = NULL, sent_at = NULL, sent_content = NULL, sent_hash = NULL,
    tries = 0, retry_at = NULL, refused_hash = NULL, error_code = NULL, error = NULL
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS done (id, remote_id, remote_version)
WHERE ledger.id = done.id;

-- name: deleted
-- These ($1) are gone from the mailbox.
WITH gone AS (
    DELETE FROM ledger WHERE id = ANY($1::bigint[]) RETURNING unlink_id
),

counted AS (
    SELECT u.run_id, count(*) AS removed
    FROM gone
    JOIN unlinks AS u ON u.id = gone.unlink_id
    GROUP BY u.run_id
)

UPDATE runs SET removed = runs.removed + counted.removed
FROM counted
WHERE runs.id = counted.run_id
RETURNING pg_notify('rooster_run', runs.id::text);

-- name: refused
-- The provider refuses these ($1), with the code $2 and the reason $3; those with a time in $4 are tried again then.
-- A delete stays a delete. Of moves that are tried again, an earlier one may still arrive.
UPDATE ledger
SET state = CASE WHEN answer.retry_at IS NULL AND state <> 'deleting' THEN 'refused' ELSE state END,
    refused_hash = CASE WHEN state <> 'deleting' THEN sent_hash END,
    error_code = answer.code, error = answer.reason, retry_at = answer.retry_at, tries = tries + 1,
    move_attempt = CASE WHEN may_arrive AND answer.retry_at IS NOT NULL THEN move_attempt END,
    move_to = CASE WHEN may_arrive AND answer.retry_at IS NOT NULL THEN move_to END,
    may_arrive = may_arrive AND (remote_id IS NULL OR answer.retry_at IS NOT NULL),
    sent_at = NULL, sent_content = NULL, sent_hash = NULL
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS answer (id, code, reason, retry_at)
WHERE ledger.id = answer.id;

-- name: unsent
-- These ($1) were not sent, after all. Of moves, an earlier one may have been.
UPDATE ledger
SET sent_at = NULL, sent_content = NULL, sent_hash = NULL,
    move_attempt = CASE WHEN may_arrive THEN move_attempt END, move_to = CASE WHEN may_arrive THEN move_to END
WHERE id = ANY($1::bigint[]);

-- name: vanished
-- These ($1) are not in the mailbox any more, though nobody of us took them out: they are to be created anew.
UPDATE ledger
SET state = 'creating', attempt = gen_random_uuid(), may_arrive = false, remote_id = NULL, remote_version = NULL,
    content = NULL, content_hash = NULL, possible = '{}', drift = NULL, rewrites = 0,
    move_attempt = NULL, move_to = NULL, sent_at = NULL, sent_content = NULL, sent_hash = NULL
WHERE id = ANY($1::bigint[]);

-- name: situation
-- What is left to do in mailbox $1: the next retry, or look for what became of something, the next look for a lost create,
-- and after how many seconds it is compared again although nobody asks; $2, unless the preferences say; null where it is not in use any more.
SELECT
    least(
        (SELECT min(retry_at) FROM ledger WHERE mailbox_id = $1 AND state IN ('creating', 'updating', 'deleting')),
        (SELECT min(sent_at) FROM ledger WHERE mailbox_id = $1 AND sent_at IS NOT NULL)
    ) AS retry_at,
    (SELECT min(check_at) FROM lost_creates WHERE mailbox_id = $1) AS check_at,
    (
        SELECT min(coalesce((preferences ->> 'sync.resyncMinutes')::float8 * 60, $2::float8))
        FROM synchronizations
        WHERE mailbox_id = $1 AND unlinked_at IS NULL AND enabled
    ) AS resync_seconds;
