"""Public fakes, builders and the broker contract suite, for tests of alpha_pulse and of your own parts."""
