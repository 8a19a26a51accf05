"""The pages of boards: a site in a folder, or one file."""
