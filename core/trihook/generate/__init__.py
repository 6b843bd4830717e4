"""Files that are written for the user: entry scripts and deployment configuration."""
