"""Meta-architectures: whole models behind the one contract of list[dict] in, losses or outputs out."""
