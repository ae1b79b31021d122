"""Alembic environment; configured by `imaging_service.database.session.alembic_config`."""

from alembic import context

config = context.config


def _ours(_object, name, type_, _reflected, _compare_to):
    # DBOS keeps its tables in the same database and migrates them itself.
    return type_ != "table" or name in config.attributes["metadata"].tables


with config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=config.attributes["metadata"],
        include_object=_ours,
        render_as_batch=True,
        version_table="imaging_service_version",
    )
    with context.begin_transaction():
        context.run_migrations()
