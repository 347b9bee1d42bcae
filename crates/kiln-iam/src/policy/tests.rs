//! The rules of `security.md` 2, and what must hold for any policies.

mod conditions;
mod denials;
mod examples;
mod layers;
mod matching;
mod properties;
mod refusals;
mod world;
