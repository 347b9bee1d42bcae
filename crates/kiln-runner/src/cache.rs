//! Caches of builds on the host (`buildspec.md` section 10).
