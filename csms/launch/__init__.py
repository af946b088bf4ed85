"""What the command line starts: processes, the demo, the benchmark. The only place of the core that knows the hosts."""
