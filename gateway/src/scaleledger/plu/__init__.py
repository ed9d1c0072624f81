"""Product files, one writer per family of scales."""
