//! buildspec.yml: text to typed buildspec with diagnostics, linting, JSON Schema.
