//! What became of a rule: when it is due, what it started and missed. The Kiln API's `DescribeRule`.

use kiln_model::{
    ApiError, Timestamp,
    kiln::{DescribeRuleInput, DescribeRuleOutput, RuleFailure, RuleMisses, RuleStart},
};

use super::{document::rule_arn, rules::find};
use crate::{core::Inner, runners::Runners};

/// See [`DescribeRuleOutput`].
///
/// # Errors
/// `ResourceNotFoundException`.
pub(crate) fn describe<R: Runners>(inner: &Inner<R>, input: DescribeRuleInput) -> Result<DescribeRuleOutput, ApiError> {
    let ((record, document), waiting) = inner.look(|view| {
        let found = find(view, &input.name)?;
        Ok((found, view.event_delivery_count(&input.name)?))
    })?;
    let at = Timestamp::from_millis;
    Ok(DescribeRuleOutput {
        arn: rule_arn(&inner.config.home, &input.name),
        name: input.name,
        enabled: document.is_enabled(),
        next_due: record.due_ms.map(at),
        last_due: document.fired.newest().map(at),
        missed: document.missed.map(|missed| RuleMisses { count: missed.count, last: at(missed.last_ms) }),
        waiting: u64::try_from(waiting).unwrap_or_default(),
        last_start: document.started.map(|started| RuleStart { time: at(started.at_ms), build_id: started.build }),
        last_failure: document.failed.map(|failed| RuleFailure {
            time: at(failed.at_ms),
            target_id: failed.target,
            code: failed.code,
            message: failed.message,
        }),
    })
}
