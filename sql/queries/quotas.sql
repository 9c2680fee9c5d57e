-- name: reserve
-- Reserve room for operations under the limits $1 at $4: see the function.
SELECT reserve_quota($1::text[], $2::interval[], $3::interval[], $4);

-- name: block
-- The provider has asked us to send nothing under limit $1 before $2.
INSERT INTO quotas (key, paced_until, blocked_until) VALUES ($1, $2, $2)
ON CONFLICT (key) DO UPDATE
SET blocked_until = greatest(quotas.blocked_until, excluded.blocked_until), blocked_because = NULL;

-- name: rest
-- The account of limit $1 is refused at $2, because of $3: it rests for $4, and twice as long each time in a row, up to
-- $5. Whoever asked at the same time changes nothing. Returns until when.
INSERT INTO quotas AS q (key, paced_until, blocked_until, blocked_because, rest)
VALUES ($1, $2, $2::timestamptz + $4::interval, $3, $4)
ON CONFLICT (key) DO UPDATE SET
    rest = CASE
        WHEN $2 < q.blocked_until THEN q.rest
        WHEN $2 < q.blocked_until + q.rest THEN least(q.rest * 2, $5::interval)
        ELSE $4
    END,
    blocked_until = CASE
        WHEN $2 < q.blocked_until THEN q.blocked_until
        WHEN $2 < q.blocked_until + q.rest THEN $2::timestamptz + least(q.rest * 2, $5::interval)
        ELSE $2::timestamptz + $4::interval
    END,
    blocked_because = $3
RETURNING blocked_until;

-- name: blocked
-- What is in the way of the limits $1 at $2, the longest first.
SELECT blocked_until, blocked_because FROM quotas
WHERE key = ANY($1::text[]) AND blocked_until > $2
ORDER BY blocked_until DESC
LIMIT 1;
