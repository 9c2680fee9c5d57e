"""The database: migrations, and named queries with a comment each (see app.database.queries)."""
