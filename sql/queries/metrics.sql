-- name: synchronizations
-- Current synchronizations by type and status.
SELECT type, status, count(*) AS count FROM current_synchronizations GROUP BY type, status;

-- name: due
-- Mailboxes that are due at $1, by type.
SELECT type, count(*) AS count FROM mailboxes WHERE due_at <= $1 GROUP BY type;

-- name: ledger
-- Ledger rows by state, without reading all of them: there is an index of those with something to do, and of the rest
-- the planner's estimate is good enough.
WITH work AS (
    SELECT state, count(*) AS count FROM ledger WHERE state <> 'present' GROUP BY state
)

SELECT state, count FROM work
UNION ALL
SELECT 'present', greatest(reltuples::bigint - coalesce((SELECT sum(count)::bigint FROM work), 0), 0)
FROM pg_class
WHERE oid = 'ledger'::regclass;

-- name: unlinks
-- Unlinkings that are not done yet.
SELECT count(*) FROM unlinks WHERE done_at IS NULL;

-- name: sync_job_runs
-- Runs of sync jobs that have not ended, by state.
SELECT state, count(*) AS count FROM sync_job_runs WHERE state IN ('queued', 'running') GROUP BY state;

-- name: sync_job_triggers
-- Cron triggers whose last time made no run.
SELECT count(*) FROM sync_job_cron_triggers WHERE enabled AND last_problem IS NOT NULL;

-- name: sync_jobs
-- Each job and account that runs by the clock, and of the others the $2 latest of which a run has ended since $1: when a
-- run was last done (where none was, the time by which the clock was set, or the first run asked for), and what the last
-- run that was not cancelled has counted, and how long it took.
WITH scheduled AS (
    SELECT sync_job_id, integrated_account_id, min(created_at) AS since
    FROM sync_job_cron_triggers
    WHERE enabled
    GROUP BY sync_job_id, integrated_account_id
),
recent AS (
    SELECT sync_job_id, integrated_account_id
    FROM sync_job_runs
    WHERE finished_at > $1 AND state IN ('done', 'failed')
        AND (sync_job_id, integrated_account_id) NOT IN (SELECT sync_job_id, integrated_account_id FROM scheduled)
    GROUP BY sync_job_id, integrated_account_id
    ORDER BY max(finished_at) DESC
    LIMIT $2
),
shown AS (
    SELECT sync_job_id, integrated_account_id, since FROM scheduled
    UNION ALL
    SELECT recent.sync_job_id, recent.integrated_account_id, first.created_at
    FROM recent
    CROSS JOIN LATERAL (
        SELECT r.created_at FROM sync_job_runs AS r
        WHERE r.sync_job_id = recent.sync_job_id AND r.integrated_account_id = recent.integrated_account_id
        ORDER BY r.number
        LIMIT 1
    ) AS first
)

SELECT
    s.sync_job_id, s.integrated_account_id, coalesce(good.finished_at, s.since) AS succeeded_at,
    latest.counts, latest.finished_at - latest.started_at AS took
FROM shown AS s
LEFT JOIN LATERAL (
    SELECT r.finished_at FROM sync_job_runs AS r
    WHERE r.sync_job_id = s.sync_job_id AND r.integrated_account_id = s.integrated_account_id AND r.state = 'done'
    ORDER BY r.number DESC
    LIMIT 1
) AS good ON true
LEFT JOIN LATERAL (
    SELECT r.counts, r.started_at, r.finished_at FROM sync_job_runs AS r
    WHERE r.sync_job_id = s.sync_job_id AND r.integrated_account_id = s.integrated_account_id
        AND r.state IN ('done', 'failed')
    ORDER BY r.number DESC
    LIMIT 1
) AS latest ON true;
