//! What agent and runner say to each other, and the journal's records: bytes in, messages out.
