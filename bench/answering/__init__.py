"""What the benchmarks of answers share: prompts, arms that take turns, figures of both."""
