//! `batch` (`buildspec.md` 12.1).

use serde::{Deserialize, Serialize};

/// The `batch` section, checked: identifiers are unique and well formed, a graph has no cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// `fast-fail`: stop all running builds as soon as one that is not ignored fails.
    pub fast_fail: bool,
    /// Which builds the batch consists of.
    pub kind: BatchKind,
}

/// The four kinds of batch; a section has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchKind {
    /// `build-list`: independent builds.
    BuildList(Vec<BatchTask>),
    /// `build-graph`: builds that wait for others.
    BuildGraph(Vec<BatchTask>),
    /// `build-matrix`: one build for every combination.
    BuildMatrix(Matrix),
    /// `build-fanout`: copies of one build that share out its tests.
    BuildFanout(Fanout),
}

/// One item of a list or graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTask {
    /// `identifier`: letters, digits and `_`, fewer than 128, unique in the batch.
    pub identifier: String,
    /// `buildspec`: path of this build's buildspec below the source root; `None`: the batch's own file.
    pub buildspec: Option<String>,
    /// `debug-session`.
    pub debug_session: bool,
    /// `depend-on` (graph only): identifiers that must have completed.
    pub depend_on: Vec<String>,
    /// `env`: what differs from the project's environment.
    pub env: TaskEnvironment,
    /// `ignore-failure`: the batch may still succeed.
    pub ignore_failure: bool,
}

/// `env` of a batch item; what is `None` stays as the project has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnvironment {
    /// `compute-type`; excludes `fleet`.
    pub compute_type: Option<String>,
    /// `fleet`; excludes `compute-type`.
    pub fleet: Option<String>,
    /// `image`, possibly with `$VARIABLE`.
    pub image: Option<String>,
    /// `privileged-mode`.
    pub privileged_mode: Option<bool>,
    /// `type`, e.g. `LINUX_CONTAINER`.
    pub environment_type: Option<String>,
    /// `variables`.
    pub variables: Vec<(String, String)>,
}

/// `build-matrix`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// `static`: the same for all builds.
    pub fixed: MatrixStatic,
    /// `dynamic`: every combination of these lists is a build.
    pub dynamic: MatrixDynamic,
}

/// `build-matrix/static`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixStatic {
    /// `ignore-failure`.
    pub ignore_failure: bool,
    /// `env/privileged-mode`.
    pub privileged_mode: Option<bool>,
    /// `env/type`.
    pub environment_type: Option<String>,
}

/// `build-matrix/dynamic`; an empty list does not take part in the combinations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixDynamic {
    /// `buildspec`: paths.
    pub buildspecs: Vec<String>,
    /// `env/compute-type`.
    pub compute_types: Vec<String>,
    /// `env/image`.
    pub images: Vec<String>,
    /// `env/variables`: name and its values.
    pub variables: Vec<(String, Vec<String>)>,
}

impl MatrixDynamic {
    /// How many builds the matrix has: the product of the lengths of its lists, at least 1; `None` when the number does
    /// not fit.
    #[must_use]
    pub fn combinations(&self) -> Option<usize> {
        [self.buildspecs.len(), self.compute_types.len(), self.images.len()]
            .into_iter()
            .chain(self.variables.iter().map(|(_, values)| values.len()))
            .try_fold(1usize, |product, n| product.checked_mul(n.max(1)))
    }
}

/// `build-fanout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fanout {
    /// `parallelism`: number of copies, at least 1.
    pub parallelism: u32,
    /// `ignore-failure`.
    pub ignore_failure: bool,
}
