-- name: add
-- What resource $3 of job $1 and account $2 gave to the run with the fence $4 and the digest $5; $6 .. $10 one array a
-- column, of which the last says whether what the same run has read before may be replaced. What runs before it have
-- read always is. Gives the places in the arrays, from 1, of those that are not stored: the run has read another event
-- (of what is none: another object) with their id already.
WITH given AS (
    SELECT * FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[]) WITH ORDINALITY
        AS g (username, id, data, event, replaces, number)
),
refused AS (
    SELECT g.number
    FROM given AS g
    CROSS JOIN LATERAL (
        SELECT s.seen, s.event::text, s.data::text
        FROM source_records AS s
        WHERE s.sync_job_id = $1 AND s.integrated_account_id = $2 AND s.username = g.username AND s.resource = $3
            AND s.id = g.id
        LIMIT 1 -- one look into the index a record, instead of one through all that the run has read
    ) AS r
    WHERE r.seen = $4 AND NOT g.replaces AND coalesce(r.event, r.data) <> coalesce(g.event, g.data)
),
stored AS (
    INSERT INTO source_records
        (sync_job_id, integrated_account_id, resource, seen, digest, username, id, data, event)
    SELECT $1, $2, $3, $4, $5, username, id, data::json, event::json
    FROM given
    WHERE number NOT IN (SELECT number FROM refused)
    ON CONFLICT (sync_job_id, integrated_account_id, username, resource, id)
    DO UPDATE SET data = excluded.data, event = excluded.event, seen = excluded.seen, digest = excluded.digest
)
SELECT number FROM refused ORDER BY number;

-- name: keep
-- The records of the users $6 that resource $3 of job $1 and account $2 gave to the run with the fence $7, and what was
-- remembered with them under the key $8, are taken for read by the run with the fence $4 and the digest $5; gives their
-- number.
WITH remembered AS (
    UPDATE source_validators SET seen = $4
    WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND key = $8 AND seen = $7
),
kept AS (
    UPDATE source_records SET seen = $4, digest = $5
    WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND username = ANY($6::text[])
        AND seen = $7
    RETURNING id
)
SELECT count(*) FROM kept;

-- name: recall
-- What resource $3 of job $1 and account $2 remembers under the key $4, and by which run. Only while job and account are
-- what they were, and every record of the users $5 that was read then is still there as it was.
SELECT v.content::text AS content, v.seen
FROM source_validators AS v
JOIN sync_jobs AS j ON j.id = v.sync_job_id
JOIN integrated_accounts AS a ON a.id = v.integrated_account_id
WHERE v.sync_job_id = $1 AND v.integrated_account_id = $2 AND v.resource = $3 AND v.key = $4
    AND v.made_at >= j.updated_at AND v.made_at >= a.updated_at
    AND v.records = (
        SELECT count(*) FROM source_records AS r
        WHERE r.sync_job_id = $1 AND r.integrated_account_id = $2 AND r.resource = $3
            AND r.username = ANY($5::text[]) AND r.seen = v.seen
    );

-- name: remember
-- Resource $3 of job $1 and account $2 remembers $5 under the key $4, with the records of the users $7 that it has given
-- to the run with the fence $6, made at $8.
INSERT INTO source_validators
    (sync_job_id, integrated_account_id, resource, key, content, seen, records, made_at)
SELECT $1, $2, $3, $4, $5::json, $6, count(*), $8
FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND resource = $3 AND username = ANY($7::text[]) AND seen = $6
ON CONFLICT (sync_job_id, integrated_account_id, resource, key) DO UPDATE
SET content = excluded.content, seen = excluded.seen, records = excluded.records, made_at = excluded.made_at;

-- name: forget_remembered
-- Forget what the run with the fence $1 has remembered: not all of it was applied.
DELETE FROM source_validators WHERE seen = $1;

-- name: add_vanished
-- Users of whom a run with run $1's arguments and resources was the last to read something, and this one has read
-- nothing, have no events any more, as far as the source says.
INSERT INTO sync_job_run_users (run_id, username, incomplete)
SELECT DISTINCT r.id, s.username, false
FROM sync_job_runs AS r
JOIN source_records AS s
    ON s.sync_job_id = r.sync_job_id AND s.integrated_account_id = r.integrated_account_id AND s.digest = r.digest
WHERE r.id = $1 AND s.username <> ''
ON CONFLICT DO NOTHING;

-- name: add_newcomers
-- Users to whom nothing was published yet, and of whom runs with run $1's arguments and resources have read something,
-- before they were users here. That this one has not read everything of theirs makes no difference.
INSERT INTO sync_job_run_users (run_id, username, incomplete)
SELECT r.id, u.username, true
FROM sync_job_runs AS r
CROSS JOIN users AS u
CROSS JOIN LATERAL (
    SELECT FROM source_records AS s
    WHERE s.sync_job_id = r.sync_job_id AND s.integrated_account_id = r.integrated_account_id
        AND s.username = u.username AND s.digest = r.digest AND s.event IS NOT NULL
    LIMIT 1 -- one look into the index a user, instead of one through all records
) AS read
WHERE r.id = $1 AND u.timetable_revision IS NULL
ON CONFLICT DO NOTHING;

-- name: emptied
-- Of the users whom run $1 (fence $2) may take events from: how many had records before, and how many of those
-- have none any more.
SELECT count(*) FILTER (WHERE known.before) AS known, count(*) FILTER (WHERE known.before AND NOT known.now) AS emptied
FROM sync_job_run_users AS u
JOIN sync_job_runs AS r ON r.id = u.run_id,
LATERAL (
    SELECT count(*) > 0 AS before, coalesce(bool_or(s.seen = $2 AND s.event IS NOT NULL), false) AS now
    FROM source_records AS s
    WHERE s.sync_job_id = r.sync_job_id AND s.integrated_account_id = r.integrated_account_id
        AND s.username = u.username
) AS known
WHERE u.run_id = $1 AND NOT u.incomplete;

-- name: other_feeders
-- Jobs and accounts that have put in events, since the job and account of run $1 (fence $2) last did, for users whose
-- whole timetable this run has read, and that are not in it: it takes them out, as they do with its own. With how many
-- users that are, and one of them. The job and account of the run itself are one of them if runs with other arguments
-- have, since the last one with the same did.
WITH run AS (
    SELECT
        r.sync_job_id, r.integrated_account_id, r.digest, max(p.fence) AS previous,
        max(p.fence) FILTER (WHERE p.digest = r.digest) AS previous_alike
    FROM sync_job_runs AS r
    JOIN sync_job_runs AS p
        ON p.sync_job_id = r.sync_job_id AND p.integrated_account_id = r.integrated_account_id AND p.number < r.number
        AND p.state = 'done'
    WHERE r.id = $1
    GROUP BY r.id
),
other AS (
    SELECT o.sync_job_id, o.integrated_account_id, array_agg(o.fence) AS fences
    FROM run
    JOIN sync_job_runs AS o
        ON o.fence > coalesce(run.previous_alike, run.previous) AND o.fence < $2 AND o.state = 'done'
        AND CASE
            WHEN (o.sync_job_id, o.integrated_account_id) = (run.sync_job_id, run.integrated_account_id)
                THEN run.previous_alike IS NOT NULL AND o.digest IS DISTINCT FROM run.digest
            ELSE o.fence > run.previous
        END
    GROUP BY o.sync_job_id, o.integrated_account_id
)
SELECT other.sync_job_id, other.integrated_account_id, count(*) AS users, min(u.username) AS username
FROM run
CROSS JOIN other
JOIN sync_job_run_users AS u ON u.run_id = $1 AND NOT u.incomplete
JOIN users ON users.username = u.username
CROSS JOIN LATERAL (
    SELECT FROM source_records AS s
    WHERE s.sync_job_id = other.sync_job_id AND s.integrated_account_id = other.integrated_account_id
        AND s.username = u.username AND s.seen = ANY(other.fences) AND s.event IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM source_records AS ours
            WHERE ours.sync_job_id = run.sync_job_id AND ours.integrated_account_id = run.integrated_account_id
                AND ours.username = s.username AND ours.id = s.id AND ours.seen = $2
        )
    LIMIT 1 -- one look into the index a user, instead of one through all records
) AS theirs
GROUP BY other.sync_job_id, other.integrated_account_id
ORDER BY other.sync_job_id, other.integrated_account_id;

-- name: events_to_apply
-- The events of the users $3 that the run of job $1 and account $2 with the fence $4 has read; of the users $5 also
-- what earlier runs with the same digest $6 have read.
SELECT username, resource, event::text
FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND username = ANY($3::text[])
    AND (seen = $4 OR (username = ANY($5::text[]) AND digest = $6))
    AND event IS NOT NULL
ORDER BY username, resource, id;

-- name: drop_unseen
-- Forget the records of the users $3 that the run of job $1 and account $2 with the fence $4 has not read: they are
-- gone from the source, and now from the timetables.
DELETE FROM source_records
WHERE sync_job_id = $1 AND integrated_account_id = $2 AND username = ANY($3::text[]) AND seen <> $4;
