"""Schema steps, applied in order of name. Only: CreateModel, AddField (null or db_default), AddIndex, RunSQL (atomic False), RunPython."""
