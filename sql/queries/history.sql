-- name: note
-- What came, at $6, of the operations on the ledger rows $1: the outcome $2, with the provider's code $3, the id $4 that
-- was given to what was created, and a sentence $5. Before the ledger takes note of it, for a row may go then. What is
-- the same as the last time is counted there.
WITH answered AS (
    SELECT
        l.synchronization_id, l.uid, answer.outcome, answer.code, answer.reason,
        CASE l.state WHEN 'creating' THEN 'create' WHEN 'updating' THEN 'update' ELSE 'delete' END AS operation,
        CASE WHEN l.state = 'deleting' THEN l.remote_id ELSE answer.remote_id END AS remote_id,
        u.run_id
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS answer (id, outcome, code, remote_id, reason)
    JOIN ledger AS l ON l.id = answer.id
    LEFT JOIN unlinks AS u ON u.id = l.unlink_id AND l.state = 'deleting'
),

repeated AS (
    UPDATE history AS h
    SET at = $6, times = h.times + 1, reason = answered.reason, run_id = answered.run_id
    FROM answered
    WHERE answered.outcome <> 'done'
        AND h.id = (
            SELECT x.id FROM history AS x
            WHERE x.synchronization_id = answered.synchronization_id AND x.uid = answered.uid
            ORDER BY x.id DESC
            LIMIT 1
        )
        AND h.operation = answered.operation AND h.outcome = answered.outcome
        AND h.code IS NOT DISTINCT FROM answered.code
    RETURNING h.synchronization_id, h.uid
)

INSERT INTO history (synchronization_id, uid, operation, outcome, first_at, at, code, remote_id, run_id, reason)
SELECT synchronization_id, uid, operation, outcome, $6, $6, code, remote_id, run_id, reason
FROM answered
WHERE (synchronization_id, uid) NOT IN (SELECT synchronization_id, uid FROM repeated);

-- name: prune
-- Forget up to $2 answers from before $1; gives their number.
WITH pruned AS (
    DELETE FROM history WHERE ctid IN (SELECT ctid FROM history WHERE at < $1 LIMIT $2)
    RETURNING id
)

SELECT count(*) FROM pruned;

-- name: facts
-- All that is known at $3 of event $2 of synchronization $1, current or not. Its ledger row may belong to another
-- synchronization of the same user and mailbox, which has adopted the event. left_out_by is the preference that keeps an
-- event of the timetable out of the mailbox; left_out_level and left_out_owner say where it is set.
SELECT
    s.id, s.username, s.type, s.enabled, s.held, s.status, s.last_error, s.failing_since, s.unlinked_at,
    m.due_at, m.owner IS NOT NULL AND m.lease_until > clock_timestamp() AS running,
    u.username IS NOT NULL AS user_exists, u.timetable_revision, u.timetable_changed_at,
    t.uid IS NOT NULL AS in_timetable, t.cancelled, t.wanted_since, t.changed_at,
    l.synchronization_id AS ledger_synchronization, l.state, l.remote_id, l.starts_at, l.ends_at, l.pushed_at,
    l.sent_at, l.retry_at, l.error_code, l.error, l.drift,
    l.content_hash = coalesce(e.content_hash, t.content_hash) AS as_wanted,
    p.left_out_by,
    coalesce(v.level::text, CASE WHEN d.default_value IS NOT NULL THEN 'default' END) AS left_out_level,
    v.owner AS left_out_owner,
    c.name AS calendar,
    deleting.run_id AS deleting_run,
    (
        SELECT un.run_id FROM unlinks AS un WHERE un.synchronization_id = s.id ORDER BY un.id LIMIT 1
    ) AS unlink_run
FROM synchronizations AS s
JOIN mailboxes AS m ON m.id = s.mailbox_id
LEFT JOIN users AS u ON u.username = s.username
LEFT JOIN timetable_events AS t ON t.username = s.username AND t.uid = $2
LEFT JOIN shaped_events AS e ON s.shaped_revision IS NOT NULL AND e.synchronization_id = s.id AND e.uid = t.uid
LEFT JOIN LATERAL (
    SELECT x.* FROM ledger AS x
    JOIN synchronizations AS o ON o.id = x.synchronization_id
    WHERE x.mailbox_id = s.mailbox_id AND x.uid = $2 AND o.username = s.username
    ORDER BY x.synchronization_id = s.id DESC, x.id DESC
    LIMIT 1
) AS l ON true
LEFT JOIN calendars AS c ON c.id = l.calendar_id
LEFT JOIN unlinks AS deleting ON deleting.id = l.unlink_id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN e.left_out_by IS NOT NULL THEN e.left_out_by
        WHEN t.starts_at > $3::timestamptz + (s.preferences ->> 'selection.daysAhead')::float8 * interval '1 day'
            THEN 'selection.daysAhead'
        WHEN l.uid IS NULL AND t.ends_at < $3::timestamptz - (s.preferences ->> 'selection.daysBack')::float8 * interval '1 day'
            THEN 'selection.daysBack'
    END AS left_out_by
) AS p
LEFT JOIN preference_descriptions AS d ON d.is_builtin AND d.section || '.' || d.key = p.left_out_by
LEFT JOIN LATERAL closest_values(ARRAY[s.id], NULL) AS v ON v.description_id = d.id
WHERE s.id = $1;

-- name: tries
-- What came of the last $3 operations on event $2, the latest first: those of synchronization $1, and of others of the
-- same user and mailbox.
SELECT h.synchronization_id, h.operation, h.outcome, h.first_at, h.at, h.times, h.code, h.remote_id, h.run_id, h.reason
FROM synchronizations AS s
JOIN synchronizations AS o ON o.mailbox_id = s.mailbox_id AND o.username = s.username
JOIN history AS h ON h.synchronization_id = o.id AND h.uid = $2
WHERE s.id = $1
ORDER BY h.at DESC, h.id DESC
LIMIT $3;

-- name: of_user
-- The synchronizations of user $1, of the type $2 if one is given: the current ones, or else the former ones.
SELECT id FROM synchronizations
WHERE username = $1 AND ($2::text IS NULL OR type = $2)
    AND (unlinked_at IS NULL OR NOT EXISTS (
        SELECT FROM synchronizations AS c
        WHERE c.username = $1 AND ($2::text IS NULL OR c.type = $2) AND c.unlinked_at IS NULL
    ))
ORDER BY id;

-- name: owner
-- Whose synchronization this is, current or not.
SELECT username FROM synchronizations WHERE id = $1;
