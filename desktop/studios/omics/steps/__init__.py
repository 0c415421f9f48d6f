"""Pure functions, one file a step: no store, net, sandbox, processes or threads."""
