"""Long life, measured from outside: the resident memory of a process that goes on and on."""
