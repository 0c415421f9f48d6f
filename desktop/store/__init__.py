"""One SQLite file: one writer, migrations, backups, audit trail, full-text search, blobs."""
