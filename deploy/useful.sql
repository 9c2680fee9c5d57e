-- What administrators ask, for psql. All of it only reads. Event titles and texts are left out.

-- Synchronizations by type and status.
SELECT type, status, count(*)
FROM current_synchronizations
GROUP BY type, status
ORDER BY type, status;

-- What is wrong, most common first.
SELECT type, status, last_error, count(*), min(id) AS for_example
FROM current_synchronizations
WHERE last_error IS NOT NULL
GROUP BY type, status, last_error
ORDER BY count(*) DESC
LIMIT 20;

-- Mailboxes that wait for a worker, and for how long the first one has been waiting.
SELECT type, count(*), now() - min(due_at) AS longest
FROM mailboxes
WHERE due_at <= now() AND (lease_until IS NULL OR lease_until < now())
GROUP BY type;

-- What is being run now, and by which worker.
SELECT owner AS worker, type, count(*) AS mailboxes, min(lease_until) AS first_lease_ends
FROM mailboxes
WHERE lease_until > now()
GROUP BY owner, type
ORDER BY owner, type;

-- Mailboxes that have failed most often in a row.
SELECT id, type, address, attempts, due_at AS next_attempt
FROM mailboxes
WHERE attempts > 0
ORDER BY attempts DESC, id
LIMIT 20;

-- Accounts and mailboxes that a provider has asked to wait for.
SELECT key, blocked_until
FROM quotas
WHERE blocked_until > now()
ORDER BY blocked_until DESC;

-- The ledger by state. "creating" and the like with sent_at set: the outcome is not known yet.
SELECT state, sent_at IS NOT NULL AS unknown, count(*)
FROM ledger
GROUP BY state, sent_at IS NOT NULL
ORDER BY state;

-- Why events were refused.
SELECT m.type, l.error_code, count(*), count(DISTINCT l.mailbox_id) AS mailboxes, min(l.error) AS for_example
FROM ledger AS l
JOIN mailboxes AS m ON m.id = l.mailbox_id
WHERE l.state = 'refused'
GROUP BY m.type, l.error_code
ORDER BY count(*) DESC
LIMIT 20;

-- Unlinkings that are not done, oldest first, and how many events each has still to take out.
SELECT u.id, u.mode, u.accepted_at, u.run_id, m.type, m.address, u.marked_at IS NOT NULL AS marked,
    (SELECT count(*) FROM ledger AS l WHERE l.unlink_id = u.id) AS events
FROM unlinks AS u
JOIN mailboxes AS m ON m.id = u.mailbox_id
WHERE u.done_at IS NULL
ORDER BY u.accepted_at
LIMIT 50;

-- Events that an UNLINK_ONLY has left behind: a later CLEANUP finds them.
SELECT s.type, count(*) AS events, count(DISTINCT l.mailbox_id) AS mailboxes
FROM ledger AS l
JOIN synchronizations AS s ON s.id = l.synchronization_id
WHERE s.unlinked_at IS NOT NULL AND l.state = 'present'
GROUP BY s.type;

-- Users who have a synchronization and no timetable.
SELECT s.username, s.type, s.id
FROM current_synchronizations AS s
JOIN users AS u ON u.username = s.username
WHERE u.timetable_revision IS NULL
ORDER BY s.username
LIMIT 50;

-- What is set of preferences, and how often at each level. Values are left out.
SELECT d.section, d.key, v.level, count(*) AS owners
FROM preference_values AS v
JOIN preference_descriptions AS d ON d.id = v.description_id
GROUP BY d.section, d.key, v.level
ORDER BY d.section, d.key, v.level;

-- Preferences that are set and do not count, as the description does not allow the level (any more).
SELECT d.section, d.key, v.level, count(*) AS owners
FROM preference_values AS v
JOIN preference_descriptions AS d ON d.id = v.description_id
WHERE v.level NOT BETWEEN d.min_level AND d.max_level
GROUP BY d.section, d.key, v.level
ORDER BY d.section, d.key, v.level;

-- Mailboxes whose calendars were not read for longest.
SELECT m.type, m.address, max(r.completed_at) AS last_read
FROM mailboxes AS m
LEFT JOIN readings AS r ON r.mailbox_id = m.id
WHERE EXISTS (SELECT FROM current_synchronizations AS s WHERE s.mailbox_id = m.id)
GROUP BY m.id
ORDER BY last_read NULLS FIRST, m.id
LIMIT 20;

-- Sync jobs, and how the latest run of each with each account has ended.
SELECT DISTINCT ON (r.sync_job_id, r.integrated_account_id)
    r.sync_job_id, a.base_url, r.id AS run, r.state, r.started_at, r.finished_at, r.detail,
    (SELECT count(*) FROM sync_job_run_errors AS e WHERE e.run_id = r.id) AS errors
FROM sync_job_runs AS r
JOIN integrated_accounts AS a ON a.id = r.integrated_account_id
ORDER BY r.sync_job_id, r.integrated_account_id, r.number DESC;

-- Cron triggers, the next first, and why the last time made no run.
SELECT id, sync_job_id, cron_expression, time_zone, next_run, last_problem
FROM sync_job_cron_triggers
WHERE enabled
ORDER BY next_run;

-- The largest tables.
SELECT relname AS name, reltuples::bigint AS rows, pg_size_pretty(pg_total_relation_size(oid)) AS size
FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY pg_total_relation_size(oid) DESC
LIMIT 10;

-- What has been applied to this database.
SELECT version, name, applied_at FROM schema_migrations ORDER BY version;
