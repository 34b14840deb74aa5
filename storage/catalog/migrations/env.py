"""How are migrations run? On the connection that the catalog passes in."""

from alembic import context

from storage.catalog.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
