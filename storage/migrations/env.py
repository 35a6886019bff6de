"""Runs the revisions, for `storage.engine.upgrade` and for the `alembic` command."""

from alembic import context
from sqlalchemy import Connection, create_engine

from storage import tables


def run() -> None:
    """Run what alembic was asked for, on the connection we were handed or on ``-x url=...``."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    engine = create_engine(context.get_x_argument(as_dictionary=True)["url"])
    with engine.begin() as own:
        _migrate(own)
    engine.dispose()


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=tables.metadata, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # what alembic calls this file; anybody else only imports it
    run()
