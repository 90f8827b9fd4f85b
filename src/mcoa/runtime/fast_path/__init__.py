"""The fast path: what was decided for a flow, done by programs in the kernel."""
