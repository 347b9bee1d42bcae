//! Rules of EventBridge (`api.md` 4.1, 8.9): what starts builds by the clock, or because something happened.
//!
//! A rule is a row, and so is each of its targets. What a rule is to start becomes a row too, a delivery, in the
//! transaction that says that the rule had its turn; it goes in the transaction that stores the build. So a turn of a
//! schedule and an event that was taken start a build once, whatever happens to the server in between.
//!
//! Pure are [`schedule`] (when), [`pattern`] (which events) and [`input`] (with what); [`worker`] does it.

mod builds;
mod buses;
mod deliver;
mod document;
mod due;
mod error;
mod input;
mod pattern;
mod publish;
mod put;
mod rules;
mod schedule;
mod tags;
mod targets;
mod turns;
mod worker;

pub(crate) use self::{
    builds::state_changed,
    publish::{Event, publish},
    tags::resource,
    turns::describe,
    worker::{Bell, run},
};

use kiln_model::{
    ApiError,
    events::*,
    for_each_events_operation,
    service::{Context, Events},
};

use crate::{core::Core, runners::Runners};

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> Events for Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_events_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        buses::{describe_event_bus, list_event_buses},
        put::{put_events, test_event_pattern},
        rules::{delete_rule, describe_rule, disable_rule, enable_rule, list_rules, put_rule},
        tags::{list_tags_for_resource, tag_resource, untag_resource},
        targets::{list_rule_names_by_target, list_targets_by_rule, put_targets, remove_targets},
    };
}
