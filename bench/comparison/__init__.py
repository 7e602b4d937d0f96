"""The parts of bench/compare: stats, servers, rows (what is measured), report (what is said about it), facts
(of the machine)."""
