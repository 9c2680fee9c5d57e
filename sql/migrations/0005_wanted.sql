-- What is wanted in a mailbox: the timetable, seen through the preferences of each synchronization.

-- The preferences that change or leave out events; the others are applied where they are needed.
CREATE FUNCTION shaping(preferences jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN preferences - ARRAY[
    'selection.daysBack', 'selection.daysAhead', 'calendar.name', 'sync.people', 'sync.resyncMinutes'
];

-- A user's timetable as a synchronization wants it, all of it, where its preferences change or leave out events.
CREATE TABLE shaped_events (
    synchronization_id bigint NOT NULL REFERENCES synchronizations ON DELETE CASCADE,
    uid text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    content jsonb NOT NULL,                      -- providers.contract.Event
    content_hash bytea NOT NULL,                 -- of the content, by app.timetables.event
    left_out_by text,                            -- the preference that keeps it out of the mailbox
    PRIMARY KEY (synchronization_id, uid)
);

-- Whether a synchronization's shaped events were made from another timetable (of this revision now) or by other
-- preferences; also if it has some without need.
CREATE FUNCTION shape_is_stale(s synchronizations, revision bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN shaping(s.preferences) = '{}' THEN s.shaped_revision IS NOT NULL
    ELSE s.shaped_by IS DISTINCT FROM shaping(s.preferences) OR s.shaped_revision IS DISTINCT FROM coalesce(revision, 0)
END;

-- What the current synchronizations of a mailbox want at a moment. Events that the days ahead do not reach yet are not
-- wanted; those that are past the days back are not put there any more, and stay where they are there.
CREATE FUNCTION wanted_events(mailbox bigint, moment timestamptz) RETURNS TABLE (
    synchronization_id bigint, username text, enabled boolean, held boolean, calendar_id bigint,
    uid text, starts_at timestamptz, ends_at timestamptz, content jsonb, content_hash bytea, past boolean
) LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT
    s.id, s.username, s.enabled, s.held, c.id, e.uid, e.starts_at, e.ends_at, e.content, e.content_hash,
    coalesce(e.ends_at < moment - (s.preferences ->> 'selection.daysBack')::float8 * interval '1 day', false)
FROM synchronizations AS s
LEFT JOIN calendars AS c ON c.mailbox_id = s.mailbox_id AND c.name = s.preferences ->> 'calendar.name'
CROSS JOIN LATERAL (
    SELECT t.uid, t.starts_at, t.ends_at, t.content, t.content_hash
    FROM timetable_events AS t
    WHERE s.shaped_revision IS NULL AND t.username = s.username AND NOT t.cancelled
    UNION ALL
    SELECT t.uid, t.starts_at, t.ends_at, t.content, t.content_hash
    FROM shaped_events AS t
    WHERE s.shaped_revision IS NOT NULL AND t.synchronization_id = s.id AND t.left_out_by IS NULL
) AS e
WHERE s.mailbox_id = mailbox AND s.unlinked_at IS NULL
    AND coalesce(
        e.starts_at <= moment + (s.preferences ->> 'selection.daysAhead')::float8 * interval '1 day', true
    );
END;
