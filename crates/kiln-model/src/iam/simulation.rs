//! Shapes of policy simulation.

/// A simulation: who would ask for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// ARN of the user, group or role whose policies are simulated; `None`: those of `policies` alone.
    pub source: Option<String>,
    /// Further policies of the caller.
    pub policies: Vec<String>,
    /// A permissions boundary, instead of the one that the user or role has.
    pub boundary: Option<String>,
    /// What would be asked for.
    pub actions: Vec<String>,
    /// On what; `*` when there is none.
    pub resources: Vec<String>,
    /// The policy of the resource.
    pub resource_policy: Option<String>,
    /// Who would ask, if it is another than the source: the ARN of a user or role.
    pub caller: Option<String>,
    /// The account of resources whose ARNs do not say one: its ARN or number; the caller's when absent.
    pub owner: Option<String>,
    /// Condition keys.
    pub context: Vec<ContextEntry>,
}

/// A condition key of a simulation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextEntry {
    /// E.g. `aws:SourceIp`.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
    /// It may have several: its type says so.
    pub is_list: bool,
}

/// What would be decided about an action on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The resource was given: there are results for it in particular.
    pub is_specific: bool,
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub decision: &'static str,
    /// The statements that decide: those that deny, else those that allow.
    pub matched: Vec<MatchedStatement>,
    /// Keys that policies look at and the simulation has no values for.
    pub missing: Vec<String>,
    /// Whether the boundary allows it, if there is one.
    pub allowed_by_boundary: Option<bool>,
}

/// A statement that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedStatement {
    /// The policy's name.
    pub policy: String,
    /// `PolicySourceType` of IAM's API: `user`, `group`, `role`, `aws-managed`, `user-managed`, `resource`, `none`.
    pub kind: &'static str,
    /// Where it begins: line and column, from 1.
    pub start: (usize, usize),
    /// Where it ends: behind its last character.
    pub end: (usize, usize),
}
