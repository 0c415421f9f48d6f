"""What every layer may use: errors, ports, jobs, events, settings, traces. Imports nothing of Benchtop."""
