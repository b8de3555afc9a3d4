"""Run the migrations on the connection that `migrating` hands over, inside its transaction."""

from alembic import context

from predictive_maintenance.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # SQLite's tables are transactional, too, which Alembic does not assume.
    transactional_ddl=True,
)
context.run_migrations()
