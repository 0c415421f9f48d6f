"""The outside world of omics: files, GEO folders, accessions."""
