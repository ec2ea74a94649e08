"""The stage: what the programs need around them to be tested for real.

Everything is private to one Stage: a temporary folder, ports picked free, processes ended by pid."""
