-- name: reserve
-- Reserve room for operations under the limits $1 at $4: see the function.
SELECT reserve_quota($1::text[], $2::interval[], $3::interval[], $4);

-- name: block
-- Nothing may be sent under limit $1 before $2; $3 says why, where the provider has not just asked us to wait.
INSERT INTO quotas (key, paced_until, blocked_until, blocked_because) VALUES ($1, $2, $2, $3)
ON CONFLICT (key) DO UPDATE
SET blocked_until = greatest(quotas.blocked_until, excluded.blocked_until),
    blocked_because = excluded.blocked_because;

-- name: blocked
-- What is in the way of the limits $1 at $2, the longest first.
SELECT blocked_until, blocked_because FROM quotas
WHERE key = ANY($1::text[]) AND blocked_until > $2
ORDER BY blocked_until DESC
LIMIT 1;
