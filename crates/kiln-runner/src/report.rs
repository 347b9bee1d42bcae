//! Test and coverage reports (`buildspec.md` section 11).
