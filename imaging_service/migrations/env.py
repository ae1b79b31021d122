"""Alembic environment; configured by `imaging_service.database.session.alembic_config`."""

from alembic import context

config = context.config


def _ours(_object, name, type_, _reflected, _compare_to):
    # DBOS keeps its tables in the same database and migrates them itself.
    return type_ != "table" or name in config.attributes["metadata"].tables


with config.attributes["engine"].connect() as connection:
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # A table that others refer to is made anew under its own name; only outside a transaction
        # can SQLite be told to wait with its checks. They are made up for below.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=config.attributes["metadata"],
        include_object=_ours,
        render_as_batch=True,
        version_table="imaging_service_version",
    )
    with context.begin_transaction():
        context.run_migrations()
        if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
            raise RuntimeError(f"the upgrade would leave rows that refer to nothing: {broken[:5]}")
    if sqlite:
        connection.commit()
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
