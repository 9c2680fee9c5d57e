-- name: all
-- All descriptions, in the order of showing.
SELECT * FROM preference_descriptions ORDER BY section, rank, key;

-- name: find
-- One description.
SELECT * FROM preference_descriptions WHERE id = $1;

-- name: find_by_name
-- The description of a section and key, compared without regard to case. It stays as it is until the transaction ends.
SELECT * FROM preference_descriptions
WHERE lower(section COLLATE "C") = lower($1 COLLATE "C") AND lower(key COLLATE "C") = lower($2 COLLATE "C")
FOR KEY SHARE;

-- name: find_to_change
-- One description, to be changed or deleted: nobody sets a value of it until the transaction ends.
SELECT * FROM preference_descriptions WHERE id = $1 FOR UPDATE;

-- name: create
-- A new description; nothing is returned if there is one of this section and key.
INSERT INTO preference_descriptions (
    section, key, name, description, value_type, min_value, max_value, allowed_values,
    min_level, max_level, sys_max_level, access_flags, sub_group, rank, default_value, changed_at
) VALUES (
    $1, $2, $3::text::jsonb, $4::text::jsonb, $5, $6, $7, $8::text::jsonb,
    $9::text::preference_level, $10::text::preference_level, $11::text::preference_level,
    $12::text::jsonb, $13, $14, $15::text::jsonb, date_trunc('second', $16::timestamptz)
)
ON CONFLICT (lower(section COLLATE "C"), lower(key COLLATE "C")) DO NOTHING
RETURNING *;

-- name: change
-- Description $17 as it is now. Of two changes within one second, the later one gets the next second's date.
UPDATE preference_descriptions
SET section = $1, key = $2, name = $3::text::jsonb, description = $4::text::jsonb, value_type = $5,
    min_value = $6, max_value = $7, allowed_values = $8::text::jsonb,
    min_level = $9::text::preference_level, max_level = $10::text::preference_level,
    sys_max_level = $11::text::preference_level, access_flags = $12::text::jsonb,
    sub_group = $13, rank = $14, default_value = $15::text::jsonb,
    revision = revision + 1,
    changed_at = greatest(date_trunc('second', $16::timestamptz), changed_at + interval '1 second')
WHERE id = $17
RETURNING *;

-- name: delete
-- Delete a description, with all values of it.
DELETE FROM preference_descriptions WHERE id = $1;

-- name: values
-- The different values that are set of a description, and how often each.
SELECT value, count(*) AS times FROM preference_values
WHERE description_id = $1 AND jsonb_typeof(value) <> 'null'
GROUP BY value;
