-- Where a preference can be set, from the farthest from the person to the closest; compared in this order.
CREATE TYPE preference_level AS ENUM ('installation', 'type', 'role', 'user', 'synchronization');

-- Which preferences there are, and what their values may be.
CREATE TABLE preference_descriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    section text NOT NULL,
    key text NOT NULL,
    name jsonb NOT NULL,                         -- {"en": "…", "nl": "…"}; English is always there
    description jsonb NOT NULL DEFAULT '{}',     -- as the name, or empty
    value_type text NOT NULL CHECK (value_type IN ('number', 'text', 'bool', 'list')),
    min_value double precision,                  -- of a number; of a text: length; of a list: count
    max_value double precision,
    allowed_values jsonb,                        -- a list of values, of a list's items; null: any
    min_level preference_level NOT NULL DEFAULT 'installation',
    max_level preference_level NOT NULL DEFAULT 'synchronization',
    sys_max_level preference_level NOT NULL DEFAULT 'synchronization',
    -- What each role of API tokens may do with the values.
    access_flags jsonb NOT NULL DEFAULT '{"admin": ["read", "write"], "frontend": ["read", "write"], "reader": ["read"]}',
    sub_group text,                              -- what is shown together within a section
    rank integer NOT NULL DEFAULT 0,             -- the order of showing
    is_builtin boolean NOT NULL DEFAULT false,
    default_value jsonb,                         -- SQL null: none; never a JSON null
    revision bigint NOT NULL DEFAULT 1,
    -- In whole seconds, as HTTP tells it, and later with every revision: it tells revisions apart.
    changed_at timestamptz NOT NULL DEFAULT date_trunc('second', now()),
    CHECK (min_value <= max_value),
    CHECK (min_level <= max_level AND max_level <= sys_max_level)
);

-- Sections and keys are ASCII, so this does not depend on the database's locale.
CREATE UNIQUE INDEX preference_descriptions_name ON preference_descriptions (lower(section), lower(key));
