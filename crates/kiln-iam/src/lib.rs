//! Request authentication (Signature Version 4): pure functions, time is an argument.
