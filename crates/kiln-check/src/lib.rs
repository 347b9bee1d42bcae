//! Test support: invariant checker and end-to-end test harness (never shipped).
