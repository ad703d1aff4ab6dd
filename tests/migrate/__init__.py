"""The command that rewrites classes of other libraries to structs."""
