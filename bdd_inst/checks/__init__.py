"""Everything that can be wrong with a data set, by code, file and instance; and what it consists of."""
