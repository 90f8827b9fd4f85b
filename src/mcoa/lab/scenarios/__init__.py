"""What `mcoa lab` proves: one scenario a module, each with real daemons and real traffic."""
