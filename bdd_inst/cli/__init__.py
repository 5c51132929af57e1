"""The command line: parse, call, print. Nothing in bdd_inst imports it. (A package, for other projects install a `tools` of theirs.)"""
