//! Policies: reading, checking and compiling them, and deciding with them (`security.md` 2).
//!
//! A policy's text is read once, when it is written: [`Policy::parse`] refuses what AWS would refuse, with the place and
//! the reason, and keeps it in a form that is quick to ask: patterns are split, values are read, nothing is a regular
//! expression, and nothing takes exponential time. [`evaluate()`] is a pure function of a request and its policies; the time is
//! one of the request's [`Context`] keys.
//!
//! Where AWS's documentation leaves a question open, or a value cannot be read, the answer depends on what would follow
//! from it: a statement that allows does not apply, one that denies does.

mod action;
mod condition;
mod context;
mod decimal;
mod denial;
mod document;
mod error;
mod evaluate;
mod explain;
mod index;
mod input_keys;
mod json;
mod kind;
mod moment;
mod network;
mod pattern;
mod principal;
mod resource;
mod statement;
mod variable;

pub mod table;

pub use context::Context;
pub use document::Policy;
pub use error::PolicyError;
pub use evaluate::{Cited, Decision, Effect, Layer, Policies, Reason, Request, ResourceRule, evaluate};
pub use explain::{Explained, Place, WhyNot, explain, places};
pub use input_keys::input_keys;
pub use kind::{Kind, significant_length};
pub use principal::{Entry, Principal};

/// Whether a text can be the resource of a [`Request`]: an ARN, of its six parts at least in form.
#[must_use]
pub fn is_arn(text: &str) -> bool {
    pattern::ArnText::new(text).is_some()
}

#[cfg(test)]
mod tests;
