-- name: page
-- The next $2 current synchronizations after the id $1.
SELECT id, username, type, description, enabled, status, last_resync
FROM current_synchronizations
WHERE id > $1
ORDER BY id
LIMIT $2;

-- name: of_user
-- The current synchronizations of a user.
SELECT id, username, type, description, enabled, status, last_resync
FROM current_synchronizations
WHERE username = $1
ORDER BY id;

-- name: find
-- One current synchronization.
SELECT id, username, type, description, enabled, status, last_resync
FROM current_synchronizations
WHERE id = $1;

-- name: owner
-- Whose current synchronization this is.
SELECT username FROM current_synchronizations WHERE id = $1;

-- name: owners
-- The users who have the current synchronizations $1.
SELECT DISTINCT username FROM current_synchronizations WHERE id = ANY($1::bigint[]);

-- name: known
-- Which of the ids $1 are those of current synchronizations.
SELECT id FROM current_synchronizations WHERE id = ANY($1::bigint[]);

-- name: lock_pair
-- Nobody else provisions this user and type until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended($2 || ':' || $1, 1));

-- name: of_type
-- A user's current synchronizations of one type, with the mailboxes that they lead to.
SELECT s.id, s.description AS address, s.status, s.mailbox_id, m.identity
FROM current_synchronizations AS s
JOIN mailboxes AS m ON m.id = s.mailbox_id
WHERE s.username = $1 AND s.type = $2
ORDER BY s.id;

-- name: mailbox_by_identity
-- The mailbox of type $1 and identity $3, made if need be; $2 is the address to reach it by.
INSERT INTO mailboxes (type, address, identity, due_at) VALUES ($1, $2, $3, NULL)
ON CONFLICT (type, identity) DO UPDATE SET address = excluded.address
RETURNING id;

-- name: lock_address
-- Nobody else makes a mailbox for this type and address until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended($1 || ':' || lower($2), 2));

-- name: mailbox_by_address
-- The mailbox that was last reached by this address; one whose identity is known goes first.
SELECT id FROM mailboxes
WHERE type = $1 AND lower(address) = lower($2)
ORDER BY identity IS NULL, id DESC
LIMIT 1;

-- name: unreached_mailbox
-- A mailbox that is known by its address only: the worker finds out its identity.
INSERT INTO mailboxes (type, address, due_at) VALUES ($1, $2, NULL) RETURNING id;

-- name: create
-- A new synchronization of a mailbox.
INSERT INTO synchronizations (username, type, mailbox_id, address, created_at)
VALUES ($1, $2, $3, $4, $5)
RETURNING id;

-- name: readdress
-- Synchronization $1 and its mailbox are reached by the address $2 from now on.
WITH mailbox AS (
    UPDATE mailboxes SET address = $2
    WHERE id = (SELECT mailbox_id FROM synchronizations WHERE id = $1)
)

UPDATE synchronizations SET address = $2 WHERE id = $1;

-- name: reachable
-- Access to the mailbox of synchronization $1 is proven again; returns its id if that was in doubt.
UPDATE synchronizations SET status = 'PENDING', last_error = NULL
WHERE id = $1 AND status IN ('PERMISSION_DENIED', 'MAILBOX_NOT_FOUND')
RETURNING id;

-- name: move_calendars
-- The calendars that we made in mailbox $1 are in mailbox $2: the provider calls the same mailbox by another name now. What
-- is known by one name in both is one, unless it is there twice. What the readings of $1 know of copies counts for $2.
WITH same AS (
    SELECT former.id AS former_id, former.remote_id, now.id
    FROM calendars AS former
    JOIN calendars AS now ON now.mailbox_id = $2 AND now.name = former.name
    WHERE former.mailbox_id = $1
        AND (former.remote_id IS NULL OR now.remote_id IS NULL OR former.remote_id = now.remote_id)
),

known AS (
    UPDATE calendars AS c SET remote_id = same.remote_id FROM same WHERE c.id = same.id AND c.remote_id IS NULL
),

events AS (
    UPDATE ledger AS l SET calendar_id = same.id FROM same WHERE l.calendar_id = same.former_id
),

lost AS (
    UPDATE lost_creates AS l SET calendar_id = same.id FROM same WHERE l.calendar_id = same.former_id
),

read AS (
    UPDATE readings SET mailbox_id = $2, states = '{}'
    WHERE mailbox_id = $1 AND completed_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM readings AS r WHERE r.mailbox_id = $2 AND r.completed_at IS NOT NULL)
)

UPDATE calendars AS c
SET mailbox_id = $2, name = CASE
    WHEN EXISTS (SELECT FROM calendars AS now WHERE now.mailbox_id = $2 AND now.name = c.name) THEN
        c.name || ' ' || c.remote_id
    ELSE c.name
END
WHERE c.mailbox_id = $1 AND NOT EXISTS (SELECT FROM same WHERE same.former_id = c.id);

-- name: move_ledger
-- What was pushed into mailbox $1 is in mailbox $2: the provider calls the same mailbox by another name now.
WITH lost AS (
    UPDATE lost_creates SET mailbox_id = $2 WHERE mailbox_id = $1
)

UPDATE ledger SET mailbox_id = $2 WHERE mailbox_id = $1;

-- name: enable
-- Switch synchronization $1 on or off ($2); returns its mailbox if that changes anything.
UPDATE synchronizations
SET enabled = $2, status = CASE WHEN $2 THEN 'PENDING' ELSE 'DISABLED' END
WHERE id = $1 AND unlinked_at IS NULL AND enabled <> $2
RETURNING mailbox_id;

-- name: details
-- What is known at $2 of one current synchronization: the ledger by state, how many events are not yet as they are wanted
-- (those that the provider refuses aside), and when its mailbox is visited next. Where its preferences are still to be
-- applied, it is pending.
SELECT
    s.id, s.username, s.type, s.description, s.enabled,
    CASE WHEN s.status = 'OK' AND preferred.stale THEN 'PENDING' ELSE s.status END AS status,
    s.last_resync, s.last_error, m.due_at AS next_attempt,
    (
        SELECT jsonb_object_agg(by_state.state, by_state.rows)::text FROM (
            SELECT state, count(*) AS rows FROM ledger WHERE synchronization_id = s.id GROUP BY state
        ) AS by_state
    ) AS counts,
    (
        SELECT count(*)
        FROM (
            SELECT uid, content_hash, past FROM wanted_events(s.mailbox_id, $2) WHERE synchronization_id = s.id
        ) AS t
        FULL JOIN (
            SELECT
                x.uid, x.state, x.content_hash, x.refused_hash,
                c.name IS NOT DISTINCT FROM preferred.calendar AS in_place
            FROM ledger AS x
            LEFT JOIN calendars AS c ON c.id = x.calendar_id
            WHERE x.synchronization_id = s.id
        ) AS l ON l.uid = t.uid
        WHERE (l.state = 'present' AND t.content_hash = l.content_hash AND (l.in_place OR t.past)) IS NOT TRUE
            AND (l.state = 'refused' AND t.content_hash = l.refused_hash) IS NOT TRUE
            AND (l.uid IS NULL AND t.past) IS NOT TRUE
    ) AS backlog
FROM current_synchronizations AS s
JOIN mailboxes AS m ON m.id = s.mailbox_id
CROSS JOIN LATERAL (
    SELECT x.preferences ->> 'calendar.name' AS calendar, shape_is_stale(x, u.timetable_revision) AS stale
    FROM synchronizations AS x
    LEFT JOIN users AS u USING (username)
    WHERE x.id = s.id
) AS preferred
WHERE s.id = $1;

-- name: events
-- The next $3 ledger rows of synchronization $1 after the row $2.
SELECT id, uid, state, remote_id, starts_at, ends_at, pushed_at
FROM ledger
WHERE synchronization_id = $1 AND id > $2
ORDER BY id
LIMIT $3;

-- name: approve
-- What is held back from synchronization $1 may go; returns its mailbox. Nothing is returned where nothing is held.
UPDATE synchronizations SET approved = true, held = false, status = 'PENDING', last_error = NULL
WHERE id = $1 AND unlinked_at IS NULL AND held
RETURNING mailbox_id;

-- name: due
-- The next $3 current synchronizations after the id $2, with when their mailbox is visited next, and why if that is to be
-- at $1; if $4, only the enabled ones that are due then and that no worker is at work for.
SELECT
    s.id, s.username, s.type, s.address AS description, s.enabled, s.status,
    (extract(epoch FROM s.last_resync) * 1000)::bigint AS last_resync, m.due_at, asked.run_id, s.failing_since, s.last_error,
    CASE
        WHEN NOT s.enabled OR m.due_at IS NULL OR m.due_at > $1 THEN NULL
        WHEN m.owner IS NOT NULL AND m.lease_until > clock_timestamp() THEN 'running'
        WHEN asked.run_id IS NOT NULL THEN 'sync_run'
        WHEN s.failing_since IS NOT NULL THEN 'retry'
        WHEN s.last_resync IS NULL THEN 'never_synced'
        WHEN u.timetable_changed_at > s.last_resync THEN 'timetable_changed'
        WHEN EXISTS (SELECT FROM unlinks AS un WHERE un.mailbox_id = m.id AND un.done_at IS NULL) THEN 'unlinking'
        ELSE 'resync'
    END AS why
FROM synchronizations AS s
JOIN mailboxes AS m ON m.id = s.mailbox_id
LEFT JOIN users AS u ON u.username = s.username
LEFT JOIN LATERAL (
    SELECT rm.run_id FROM run_mailboxes AS rm
    WHERE rm.mailbox_id = m.id AND rm.done_at IS NULL AND rm.wake IS NOT NULL
    LIMIT 1
) AS asked ON true
WHERE s.unlinked_at IS NULL AND s.id > $2
    AND (
        NOT $4::boolean
        OR (s.enabled AND m.due_at <= $1 AND (m.owner IS NULL OR m.lease_until < clock_timestamp()))
    )
ORDER BY s.id
LIMIT $3;
