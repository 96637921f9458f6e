"""What is written down: PostgreSQL models, migrations, repositories; names in Mongo and Redis."""
