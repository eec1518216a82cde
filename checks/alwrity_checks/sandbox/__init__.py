"""Where the user's own code runs: a process of its own that can do no harm, and what is heard of it.

`environment`, `sandbox`, `conversation` are the outer side, in our process. `program` is what that process runs;
`guard`, `network`, `env_files`, `inside`, `speech`, `log_lines` are the inner side, in the user's interpreter, where
nothing but the standard library and this package can be counted on.
"""
