"""Jobs, histories, apps and members as rows; one method per block of `sql/`."""
