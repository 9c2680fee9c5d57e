"""PostgreSQL: connections, migrations, named queries, and the embedded server."""
