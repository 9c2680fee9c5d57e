-- name: create_users
-- Users that are not there yet, with nothing but their usernames.
INSERT INTO users (username)
SELECT DISTINCT username FROM unnest($1::text[]) AS given (username)
ORDER BY username
ON CONFLICT DO NOTHING;

-- name: lock_users
-- Those of these users that exist, with their revisions, locked until the transaction's end: one
-- change of a timetable at a time. In the order of their names, so that two callers cannot deadlock.
SELECT username, timetable_revision AS revision
FROM users
WHERE username = ANY($1::text[])
ORDER BY username
FOR NO KEY UPDATE;

-- name: change
-- Change the timetables of users that the caller has locked by an earlier statement (so that this one
-- sees what was there last), in one set-based step.
-- $1 usernames; $2 .. $8 one array a column: the events that are to be there; $9 false: whole timetables,
-- what is not given goes; true: only what $10 names goes, one uid each for the one user in $1.
-- $11 now; $12 share and $13 number of a user's future events above which a removal needs to be
-- confirmed; $14 it is confirmed. A user over the limit is left as is: held is true. So is one whose timetable would
-- have more than $15 events: too_large is true.
-- A row a user: the counts, the future events before, those of them removed, held, too_large, and the revision.
WITH given AS (
    SELECT *
    FROM unnest(
        $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bytea[], $8::boolean[]
    ) AS g (username, uid, starts_at, ends_at, content, content_hash, cancelled)
),
present AS (
    SELECT username, uid, starts_at, content_hash, cancelled
    FROM timetable_events
    WHERE username = ANY($1::text[])
),
compared AS (
    SELECT
        coalesce(given.username, present.username) AS username,
        coalesce(given.uid, present.uid) AS uid,
        given.starts_at, given.ends_at, given.content, given.content_hash,
        coalesce(given.cancelled, false) AS cancelled,
        CASE
            WHEN present.uid IS NULL THEN 'created'
            WHEN given.uid IS NULL AND (NOT $9::boolean OR present.uid = ANY($10::text[])) THEN 'deleted'
            WHEN given.content_hash <> present.content_hash THEN 'updated'
            ELSE 'unchanged'
        END AS change,
        present.starts_at > $11::timestamptz AND NOT present.cancelled AS future
    FROM given FULL JOIN present USING (username, uid)
),
counted AS (
    SELECT
        username,
        count(*) FILTER (WHERE change = 'created') AS created,
        count(*) FILTER (WHERE change = 'updated') AS updated,
        count(*) FILTER (WHERE change = 'deleted') AS deleted,
        count(*) FILTER (WHERE change = 'unchanged') AS unchanged,
        count(*) FILTER (WHERE future) AS future,
        count(*) FILTER (WHERE future AND (change = 'deleted' OR cancelled)) AS removed
    FROM compared
    GROUP BY username
),
decided AS (
    SELECT
        u.username,
        u.timetable_revision AS revision,
        coalesce(created, 0) AS created,
        coalesce(updated, 0) AS updated,
        coalesce(deleted, 0) AS deleted,
        coalesce(unchanged, 0) AS unchanged,
        coalesce(future, 0) AS future,
        coalesce(removed, 0) AS removed,
        coalesce(
            NOT $14::boolean AND removed > $13::integer AND removed > $12::float8 * future, false
        ) AS held,
        coalesce(created + updated + unchanged > $15::integer, false) AS too_large
    FROM users AS u LEFT JOIN counted USING (username)
    WHERE u.username = ANY($1::text[])
),
deleting AS (
    DELETE FROM timetable_events AS t
    USING compared AS c, decided AS d
    WHERE c.change = 'deleted' AND t.username = c.username AND t.uid = c.uid
        AND d.username = c.username AND NOT (d.held OR d.too_large)
),
writing AS (
    INSERT INTO timetable_events AS t
        (username, uid, starts_at, ends_at, content, content_hash, cancelled, wanted_since, changed_at)
    SELECT c.username, c.uid, c.starts_at, c.ends_at, c.content::jsonb, c.content_hash, c.cancelled, $11, $11
    FROM compared AS c JOIN decided AS d USING (username)
    WHERE c.change IN ('created', 'updated') AND NOT (d.held OR d.too_large)
    ON CONFLICT (username, uid) DO UPDATE SET
        starts_at = excluded.starts_at,
        ends_at = excluded.ends_at,
        content = excluded.content,
        content_hash = excluded.content_hash,
        cancelled = excluded.cancelled,
        wanted_since = CASE WHEN t.cancelled THEN excluded.wanted_since ELSE t.wanted_since END,
        changed_at = excluded.changed_at
),
revised AS (
    UPDATE users AS u
    SET timetable_revision = coalesce(u.timetable_revision, 0) + 1,
        confirmed_revision = CASE
            WHEN $14 THEN coalesce(u.timetable_revision, 0) + 1 ELSE u.confirmed_revision
        END,
        timetable_changed_at = $11
    FROM decided AS d
    WHERE u.username = d.username AND NOT (d.held OR d.too_large)
        AND (d.created + d.updated + d.deleted > 0 OR d.revision IS NULL)
    RETURNING u.username, u.timetable_revision
)
SELECT
    d.username, d.created, d.updated, d.deleted, d.unchanged, d.future, d.removed, d.held, d.too_large,
    coalesce(r.timetable_revision, d.revision, 0) AS revision,
    r.username IS NOT NULL AS changed
FROM decided AS d LEFT JOIN revised AS r USING (username);

-- name: revision
-- The revision of a user's timetable; 0 where none was published yet. No row: no such user.
SELECT coalesce(timetable_revision, 0) AS revision FROM users WHERE username = $1;

-- name: events
-- A user's timetable with its revision, of one moment. No row: no such user; one of nulls: no events.
SELECT coalesce(u.timetable_revision, 0) AS revision, t.content
FROM users AS u LEFT JOIN timetable_events AS t USING (username)
WHERE u.username = $1
ORDER BY t.starts_at, t.uid;
