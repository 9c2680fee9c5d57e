-- name: seen
-- Worker $1 is running, for the types $2.
INSERT INTO workers (id, types, seen_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at;

-- name: gone
-- Worker $1 stops.
DELETE FROM workers WHERE id = $1;

-- name: forget
-- Workers that were not heard of for $1 seconds did not say goodbye.
DELETE FROM workers WHERE seen_at < clock_timestamp() - make_interval(secs => $1);

-- name: types
-- The types for which a worker was heard of in the last $1 seconds.
SELECT DISTINCT type FROM workers, unnest(types) AS t (type)
WHERE seen_at > clock_timestamp() - make_interval(secs => $1)
ORDER BY type;
