-- name: page
-- The next $2 usernames after $1, in code point order.
SELECT username FROM users
WHERE username COLLATE "C" > $1
ORDER BY username COLLATE "C"
LIMIT $2;

-- name: find
-- One user.
SELECT username, display_name, locale, attributes::text AS attributes, roles FROM users WHERE username = $1;

-- name: exists
-- Whether there is such a user.
SELECT EXISTS (SELECT FROM users WHERE username = $1);

-- name: hold
-- Whether there is such a user; if so, it stays as it is until the transaction ends.
SELECT true FROM users WHERE username = $1 FOR SHARE;

-- name: create
-- A new user; nothing is returned if the name is taken.
INSERT INTO users (username, display_name, locale, attributes, roles, created_at)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6)
ON CONFLICT (username) DO NOTHING
RETURNING true;

-- name: replace
-- Make or replace a user; returns whether it is new.
INSERT INTO users AS u (username, display_name, locale, attributes, roles, created_at)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6)
ON CONFLICT (username) DO UPDATE
SET display_name = excluded.display_name, locale = excluded.locale,
    attributes = excluded.attributes, roles = excluded.roles
RETURNING u.xmax = 0;

-- name: ensure
-- Make the user if there is none of this name; else change nothing.
INSERT INTO users (username, created_at) VALUES ($1, $2) ON CONFLICT (username) DO NOTHING;

-- name: delete
-- Delete a user, timetable included; nothing is returned if there is none.
DELETE FROM users WHERE username = $1 RETURNING true;
