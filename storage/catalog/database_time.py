"""What time is it for all processes of a catalog? The database's, so no clock of theirs counts."""

import sqlalchemy as sa


def now_ms(connection: sa.Connection) -> int:
    """Milliseconds since the epoch."""
    if connection.dialect.name == "sqlite":
        text = "cast((julianday('now') - 2440587.5) * 86400000 as integer)"
    else:
        text = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    return int(connection.execute(sa.text(f"select {text}")).scalar_one())
