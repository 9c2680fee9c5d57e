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

-- Sections and keys are ASCII; by the collation "C", the database's locale has no say in what is the same.
CREATE UNIQUE INDEX preference_descriptions_name
ON preference_descriptions (lower(section COLLATE "C"), lower(key COLLATE "C"));

-- What is set where. The owner of the installation is "default", that of a type its name (ews), that of a role its
-- name, that of a user the username, that of a synchronization its id.
CREATE TABLE preference_values (
    description_id bigint NOT NULL REFERENCES preference_descriptions ON DELETE CASCADE,
    level preference_level NOT NULL,
    owner text NOT NULL,
    value jsonb NOT NULL,                        -- a JSON null: as if nothing were set any farther
    -- Goes with its user, and with its synchronization.
    username text GENERATED ALWAYS AS (CASE WHEN level = 'user' THEN owner END) STORED
        REFERENCES users ON DELETE CASCADE,
    synchronization_id bigint GENERATED ALWAYS AS (CASE WHEN level = 'synchronization' THEN owner::bigint END) STORED
        REFERENCES synchronizations ON DELETE CASCADE,
    PRIMARY KEY (level, owner, description_id)
);

CREATE INDEX preference_values_description ON preference_values (description_id);
CREATE INDEX preference_values_username ON preference_values (username) WHERE username IS NOT NULL;
CREATE INDEX preference_values_synchronization ON preference_values (synchronization_id)
WHERE synchronization_id IS NOT NULL;

-- The values that count for the synchronizations, and those for the user "person" as such (synchronization_id null): the
-- closest level wins, of those that the description allows; of several roles, the first that has a value. Defaults are
-- not among them.
CREATE FUNCTION closest_values(synchronizations bigint[], person text) RETURNS TABLE (
    synchronization_id bigint, description_id bigint, level preference_level, owner text, value jsonb
) LANGUAGE sql STABLE
BEGIN ATOMIC
WITH subjects AS (
    SELECT s.id, s.type, s.username FROM synchronizations AS s WHERE s.id = ANY (closest_values.synchronizations)
    UNION ALL
    SELECT NULL, NULL, person WHERE person IS NOT NULL
),

owners AS (
    SELECT id, 'installation'::preference_level AS level, 'default' AS owner, 0 AS place FROM subjects
    UNION ALL
    SELECT id, 'type', type, 0 FROM subjects
    UNION ALL
    SELECT s.id, 'role', r.role, r.place
    FROM subjects AS s
    JOIN users AS u ON u.username = s.username
    CROSS JOIN LATERAL unnest(u.roles) WITH ORDINALITY AS r (role, place)
    UNION ALL
    SELECT id, 'user', username, 0 FROM subjects
    UNION ALL
    SELECT id, 'synchronization', id::text, 0 FROM subjects
)

SELECT DISTINCT ON (o.id, v.description_id) o.id, v.description_id, v.level, v.owner, v.value
FROM owners AS o
JOIN preference_values AS v ON v.level = o.level AND v.owner = o.owner
JOIN preference_descriptions AS d ON d.id = v.description_id AND v.level BETWEEN d.min_level AND d.max_level
ORDER BY o.id, v.description_id, v.level DESC, o.place;
END;

-- The preferences that the push obeys, those that are built in, as they are in effect for each of the synchronizations:
-- {"section.key": value}, without those that are null.
CREATE FUNCTION preferences_in_effect(synchronizations bigint[]) RETURNS TABLE (
    synchronization_id bigint, preferences jsonb
) LANGUAGE sql STABLE
BEGIN ATOMIC
WITH defaults AS (
    SELECT coalesce(jsonb_object_agg(section || '.' || key, default_value), '{}') AS preferences
    FROM preference_descriptions
    WHERE is_builtin AND default_value IS NOT NULL
),

chosen AS (
    SELECT c.synchronization_id, jsonb_object_agg(d.section || '.' || d.key, c.value) AS preferences
    FROM closest_values(preferences_in_effect.synchronizations, NULL) AS c
    JOIN preference_descriptions AS d ON d.id = c.description_id
    WHERE d.is_builtin
    GROUP BY c.synchronization_id
)

SELECT s.id, jsonb_strip_nulls(defaults.preferences || coalesce(chosen.preferences, '{}'))
FROM unnest(preferences_in_effect.synchronizations) AS s (id)
CROSS JOIN defaults
LEFT JOIN chosen ON chosen.synchronization_id = s.id;
END;

-- The same for one synchronization.
CREATE FUNCTION effective_preferences(synchronization bigint) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT p.preferences FROM preferences_in_effect(ARRAY[synchronization]) AS p;
END;

-- The preferences that the push obeys. Without a value, it does as timetable, provider and configuration say.
INSERT INTO preference_descriptions (
    section, key, rank, sub_group, value_type, min_value, max_value, allowed_values, max_level, sys_max_level,
    access_flags, name, description, is_builtin
)
SELECT
    section, key, rank, sub_group, value_type, min_value, max_value, allowed_values::jsonb,
    closest::preference_level, closest::preference_level,
    jsonb_build_object(
        'admin', '["read", "write"]'::jsonb,
        'frontend', CASE WHEN frontend_writes THEN '["read", "write"]'::jsonb ELSE '["read"]'::jsonb END,
        'reader', '["read"]'::jsonb
    ),
    jsonb_build_object('en', name_en, 'nl', name_nl), jsonb_build_object('en', description_en, 'nl', description_nl), true
FROM (VALUES
    (
        'presentation', 'showAs', 10, 'availability', 'text', NULL, NULL, '["busy", "free", "tentative"]', 'synchronization', true,
        'Show as', 'Tonen als',
        'How events show to others: busy, free or tentative. Not set: as in the timetable.',
        'Hoe anderen de afspraken zien: bezet, vrij of voorlopig. Niet ingesteld: zoals in het rooster.'
    ),
    (
        'presentation', 'showAsByCategory', 20, 'availability', 'list', 0, 100, NULL, 'synchronization', true,
        'Show as, by category', 'Tonen als, per categorie',
        'CATEGORY=busy, CATEGORY=free or CATEGORY=tentative; goes before showAs. The first category of an event that is named here counts. Upper and lower case are the same.',
        'CATEGORIE=busy, CATEGORIE=free of CATEGORIE=tentative; gaat voor showAs. De eerste categorie van een afspraak die hier genoemd wordt, telt. Hoofdletters maken niet uit.'
    ),
    (
        'presentation', 'reminderMinutes', 30, 'availability', 'number', -1, 40320, NULL, 'synchronization', true,
        'Reminder', 'Herinnering',
        'Whole minutes before the start; -1: no reminder. Not set: as the calendar does by itself.',
        'Hele minuten voor het begin; -1: geen herinnering. Niet ingesteld: zoals de agenda het zelf doet.'
    ),
    (
        'presentation', 'privacy', 40, 'availability', 'text', NULL, NULL, '["normal", "private"]', 'synchronization', true,
        'Privacy', 'Privacy',
        'private: people who share the calendar do not see the details. Not set: as the calendar does by itself.',
        'private: wie de agenda deelt, ziet de details niet. Niet ingesteld: zoals de agenda het zelf doet.'
    ),
    (
        'presentation', 'titleTemplate', 50, 'texts', 'text', 1, 1000, NULL, 'synchronization', true,
        'Title', 'Titel',
        'A template for the title, such as {{ title }} ({{ location }}). Fields: title, description, location, categories, url, start, end, uid, allDay. Not set, or where it fails or gives nothing: as in the timetable.',
        'Een sjabloon voor de titel, zoals {{ title }} ({{ location }}). Velden: title, description, location, categories, url, start, end, uid, allDay. Niet ingesteld, of waar het mislukt of niets oplevert: zoals in het rooster.'
    ),
    (
        'presentation', 'descriptionTemplate', 60, 'texts', 'text', 0, 10000, NULL, 'synchronization', true,
        'Description', 'Beschrijving',
        'A template for the description, with the fields of the title''s. Not set, or where it fails: as in the timetable.',
        'Een sjabloon voor de beschrijving, met de velden van dat voor de titel. Niet ingesteld, of waar het mislukt: zoals in het rooster.'
    ),
    (
        'presentation', 'categoryNames', 70, 'categories', 'list', 0, 100, NULL, 'synchronization', true,
        'Names of categories', 'Namen van categorieën',
        'CATEGORY=NAME: what a category of the timetable is called in the calendar; CATEGORY= leaves it off. Upper and lower case are the same.',
        'CATEGORIE=NAAM: hoe een categorie van het rooster in de agenda heet; CATEGORIE= laat haar weg. Hoofdletters maken niet uit.'
    ),
    (
        'presentation', 'colourByCategory', 80, 'categories', 'list', 0, 100, NULL, 'synchronization', true,
        'Colours of categories', 'Kleuren van categorieën',
        'CATEGORY=COLOUR, by the timetable''s category; red, orange, yellow, green, teal, blue, purple, cranberry or grey. Upper and lower case of the category are the same.',
        'CATEGORIE=KLEUR, naar de categorie van het rooster; red, orange, yellow, green, teal, blue, purple, cranberry of grey. Hoofdletters in de categorie maken niet uit.'
    ),
    (
        'selection', 'includeCategories', 10, 'categories', 'list', 0, 100, NULL, 'synchronization', true,
        'Only these categories', 'Alleen deze categorieën',
        'Only events with at least one of these categories are put into the calendar. Not set, or empty: all. Upper and lower case are the same.',
        'Alleen afspraken met ten minste een van deze categorieën komen in de agenda. Niet ingesteld, of leeg: alle. Hoofdletters maken niet uit.'
    ),
    (
        'selection', 'excludeCategories', 20, 'categories', 'list', 0, 100, NULL, 'synchronization', true,
        'Not these categories', 'Deze categorieën niet',
        'Events with one of these categories are not put into the calendar. Upper and lower case are the same.',
        'Afspraken met een van deze categorieën komen niet in de agenda. Hoofdletters maken niet uit.'
    ),
    (
        'selection', 'includeTitles', 30, 'titles', 'list', 0, 100, NULL, 'synchronization', false,
        'Only these titles', 'Alleen deze titels',
        'Only events are put into the calendar in whose title one of these patterns (RE2) is found. Not set, or empty: all. (?i) in front: upper and lower case are the same.',
        'Alleen afspraken komen in de agenda waarbij een van deze patronen (RE2) in de titel voorkomt. Niet ingesteld, of leeg: alle. (?i) ervoor: hoofdletters maken niet uit.'
    ),
    (
        'selection', 'excludeTitles', 40, 'titles', 'list', 0, 100, NULL, 'synchronization', false,
        'Not these titles', 'Deze titels niet',
        'Events in whose title one of these patterns (RE2) is found are not put into the calendar. (?i) in front: upper and lower case are the same.',
        'Afspraken waarbij een van deze patronen (RE2) in de titel voorkomt, komen niet in de agenda. (?i) ervoor: hoofdletters maken niet uit.'
    ),
    (
        'selection', 'daysBack', 50, 'window', 'number', 0, 3650, NULL, 'synchronization', true,
        'Days back', 'Dagen terug',
        'Events that ended longer ago are not put into the calendar any more; those that are there stay. Not set: all.',
        'Afspraken die langer geleden eindigden, komen niet meer in de agenda; wat er staat, blijft. Niet ingesteld: alle.'
    ),
    (
        'selection', 'daysAhead', 60, 'window', 'number', 0, 3650, NULL, 'synchronization', true,
        'Days ahead', 'Dagen vooruit',
        'Events that begin later than that are not in the calendar yet. Not set: all.',
        'Afspraken die later beginnen, staan nog niet in de agenda. Niet ingesteld: alle.'
    ),
    (
        'calendar', 'name', 10, NULL, 'text', 1, 100, NULL, 'synchronization', true,
        'Calendar', 'Agenda',
        'The calendar of this name, made for the purpose. Not set: the person''s default calendar.',
        'De agenda met deze naam, die ervoor gemaakt wordt. Niet ingesteld: de standaardagenda van de persoon.'
    ),
    (
        'sync', 'people', 10, NULL, 'text', NULL, NULL, '["restore", "respect", "report"]', 'synchronization', false,
        'What people change', 'Wat mensen wijzigen',
        'What becomes of an event that a person deleted or changed in the calendar: it is put back (restore), it stays so until it changes in the timetable (respect), or it is only counted (report). Not set: as configured.',
        'Wat er gebeurt met een afspraak die iemand in de agenda heeft verwijderd of gewijzigd: hij wordt hersteld (restore), blijft zo tot hij in het rooster verandert (respect), of wordt alleen geteld (report). Niet ingesteld: zoals geconfigureerd.'
    ),
    (
        'sync', 'resyncMinutes', 20, NULL, 'number', 5, 10080, NULL, 'type', false,
        'Compare again after', 'Opnieuw vergelijken na',
        'Whole minutes after which a calendar is compared with its timetable although nobody asked. Not set: as configured.',
        'Hele minuten waarna een agenda met het rooster wordt vergeleken, ook als niemand erom vroeg. Niet ingesteld: zoals geconfigureerd.'
    )
) AS builtin (
    section, key, rank, sub_group, value_type, min_value, max_value, allowed_values, closest, frontend_writes,
    name_en, name_nl, description_en, description_nl
);
