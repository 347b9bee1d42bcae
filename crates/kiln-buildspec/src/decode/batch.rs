//! `batch`: shapes, identifiers, dependencies (`buildspec.md` 12.1).

use std::collections::{HashMap, HashSet};

use super::{Decoder, Purpose, fields::Fields};
use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::quote,
    keys::{self, Section},
    model::{Batch, BatchKind, BatchTask, Fanout, Matrix, MatrixDynamic, MatrixStatic, TaskEnvironment},
    source::Span,
    yaml::{Kind, NodeId},
};

/// "less than 128 characters in length".
const MAX_IDENTIFIER: usize = 127;
/// Most malformed identifiers that the service's message is made to name.
const MAX_NAMED: usize = 20;

/// True for what batches and artifacts take as an identifier. Digits may come first (`buildspecs-in-the-wild.md` 3.2).
pub(super) fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_IDENTIFIER && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Decoder<'_> {
    pub(super) fn batch(&mut self, root: &Fields) -> Option<Batch> {
        let Some((key, value)) = root.get("batch") else {
            if self.purpose == Purpose::Batch {
                let span = Span::point(self.document.span(root.node).start);
                self.push(
                    Diagnostic::new(Severity::Error, Code::Batch, span, "the buildspec has no `batch`")
                        .with_hint("a batch build needs batch/build-list, build-graph, build-matrix or build-fanout"),
                );
            }
            return None;
        };
        let outer = std::mem::take(&mut self.findings);
        let batch = if self.document.is_null(value) {
            self.batch_error(self.document.span(key), "`batch` is empty", "name the builds, or remove it");
            None
        } else {
            self.batch_section(root)
        };
        let found = std::mem::replace(&mut self.findings, outer);
        let broken = found.has_errors();
        // A single build does not look at the section.
        let least = if self.purpose == Purpose::Build { Severity::Warning } else { Severity::Error };
        self.findings
            .extend(found.into_list().into_iter().map(|d| Diagnostic { severity: d.severity.max(least), ..d }));
        if broken { None } else { batch }
    }

    fn batch_error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Diagnostic::new(Severity::Error, Code::Batch, span, message).with_hint(hint));
    }

    fn batch_section(&mut self, root: &Fields) -> Option<Batch> {
        let fields = self.subsection(root, "batch", &keys::BATCH)?;
        let fast_fail = self.switch_field(&fields, "fast-fail");
        let kinds = ["build-list", "build-graph", "build-matrix", "build-fanout"];
        let present: Vec<_> = kinds.into_iter().filter_map(|kind| Some((kind, fields.get(kind)?))).collect();
        let (kind, (_, value)) = match present.as_slice() {
            [one] => *one,
            [] => {
                let span = self.first_line(fields.node);
                let message = "`batch` names no builds";
                self.batch_error(span, message, "add build-list, build-graph, build-matrix or build-fanout");
                return None;
            }
            [_, (second, (key, _)), ..] => {
                let message = format!("`batch` has more than one kind of builds: {second} is the second");
                self.batch_error(
                    self.document.span(*key),
                    message,
                    "keep one of build-list, build-graph, build-matrix and build-fanout",
                );
                return None;
            }
        };
        let kind = match kind {
            "build-list" => BatchKind::BuildList(self.tasks(value, "batch/build-list", &keys::LIST_ITEM)),
            "build-graph" => BatchKind::BuildGraph(self.tasks(value, "batch/build-graph", &keys::GRAPH_ITEM)),
            "build-matrix" => BatchKind::BuildMatrix(self.matrix(&fields)?),
            _ => BatchKind::BuildFanout(self.fanout(&fields)?),
        };
        Some(Batch { fast_fail, kind })
    }

    fn tasks(&mut self, id: NodeId, path: &str, section: &'static Section) -> Vec<BatchTask> {
        let document = self.document;
        let Kind::Sequence(items) = &document.node(id).kind else {
            self.wrong_type(id, path, "a list of builds");
            return Vec::new();
        };
        let mut tasks = Vec::with_capacity(items.len());
        let mut nodes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let fields = self.section(*item, section, &path);
            let identifier = self.text_field(&fields, "identifier");
            if identifier.is_none() {
                let message = format!("`{path}` has no identifier");
                let span = self.first_line(*item);
                self.push(
                    Diagnostic::new(Severity::Error, Code::BatchIdentifier, span, message)
                        .with_hint("give every build of the batch a unique `identifier`"),
                );
            }
            let graph = section.key("depend-on").is_some();
            let depends = if graph { fields.get("depend-on").map(|(_, value)| value) } else { None };
            let depends = depends.map(|value| self.texts(value, &format!("{path}/depend-on"))).unwrap_or_default();
            nodes.push((fields.get("identifier").map(|(_, value)| value), depends.iter().map(|(_, id)| *id).collect()));
            tasks.push(BatchTask {
                identifier: identifier.unwrap_or_default(),
                buildspec: self.text_field(&fields, "buildspec"),
                debug_session: self.switch_field(&fields, "debug-session"),
                depend_on: depends.into_iter().map(|(text, _)| text).collect(),
                env: self.task_environment(&fields),
                ignore_failure: self.switch_field(&fields, "ignore-failure"),
            });
        }
        if tasks.is_empty() {
            self.batch_error(self.document.span(id), format!("`{path}` is empty"), "list at least one build");
        }
        self.check_identifiers(&tasks, &nodes);
        self.check_dependencies(&tasks, &nodes);
        tasks
    }

    fn task_environment(&mut self, task: &Fields) -> TaskEnvironment {
        let Some(fields) = self.subsection(task, "env", &keys::ITEM_ENVIRONMENT) else {
            return TaskEnvironment::default();
        };
        if let (Some(_), Some((key, _))) = (fields.get("compute-type"), fields.get("fleet")) {
            let message = "`compute-type` and `fleet` exclude each other";
            self.batch_error(self.document.span(key), message, "keep one of the two");
        }
        TaskEnvironment {
            compute_type: self.text_field(&fields, "compute-type"),
            fleet: self.text_field(&fields, "fleet"),
            image: self.text_field(&fields, "image"),
            privileged_mode: self.optional_switch(&fields, "privileged-mode"),
            environment_type: self.text_field(&fields, "type"),
            variables: self.batch_variables(&fields),
        }
    }

    fn batch_variables(&mut self, fields: &Fields) -> Vec<(String, String)> {
        let Some((_, value)) = fields.get("variables") else { return Vec::new() };
        let path = fields.path_of("variables");
        let mut variables = Vec::new();
        for (name, _, value) in self.entries(value, &path) {
            if self.document.is_null(value) {
                variables.push((name, String::new()));
            } else if let Some(text) = self.text_value(value, &format!("{path}/{}", quote(&name))) {
                variables.push((name, text));
            }
        }
        variables
    }

    fn matrix(&mut self, batch: &Fields) -> Option<Matrix> {
        let fields = self.subsection(batch, "build-matrix", &keys::MATRIX)?;
        let mut matrix = Matrix::default();
        if let Some(fixed) = self.subsection(&fields, "static", &keys::MATRIX_STATIC) {
            let ignore_failure = self.switch_field(&fixed, "ignore-failure");
            let env = self.subsection(&fixed, "env", &keys::MATRIX_STATIC_ENV);
            matrix.fixed = MatrixStatic {
                ignore_failure,
                privileged_mode: env.as_ref().and_then(|env| self.optional_switch(env, "privileged-mode")),
                environment_type: env.as_ref().and_then(|env| self.text_field(env, "type")),
            };
        }
        if let Some(dynamic) = self.subsection(&fields, "dynamic", &keys::MATRIX_DYNAMIC) {
            matrix.dynamic =
                MatrixDynamic { buildspecs: self.texts_field(&dynamic, "buildspec"), ..Default::default() };
            if let Some(env) = self.subsection(&dynamic, "env", &keys::MATRIX_DYNAMIC_ENV) {
                matrix.dynamic.compute_types = self.texts_field(&env, "compute-type");
                matrix.dynamic.images = self.texts_field(&env, "image");
                if let Some((_, value)) = env.get("variables") {
                    let path = env.path_of("variables");
                    for (name, _, values) in self.entries(value, &path) {
                        let values = self.texts(values, &format!("{path}/{}", quote(&name)));
                        matrix.dynamic.variables.push((name, values.into_iter().map(|(text, _)| text).collect()));
                    }
                }
            }
        }
        Some(matrix)
    }

    fn fanout(&mut self, batch: &Fields) -> Option<Fanout> {
        let fields = self.subsection(batch, "build-fanout", &keys::FANOUT)?;
        let ignore_failure = self.switch_field(&fields, "ignore-failure");
        let hint = "write the number of copies: parallelism: 4";
        let Some((_, value)) = fields.get("parallelism") else {
            let span = self.first_line(fields.node);
            self.batch_error(span, "`batch/build-fanout` has no `parallelism`", hint);
            return None;
        };
        let text = self.text_field(&fields, "parallelism").unwrap_or_default();
        match text.trim().parse::<u32>() {
            Ok(parallelism) if parallelism > 0 => Some(Fanout { parallelism, ignore_failure }),
            _ => {
                let message = format!("`batch/build-fanout/parallelism` is no number of builds: '{}'", quote(&text));
                self.batch_error(self.document.span(value), message, hint);
                None
            }
        }
    }

    fn check_identifiers(&mut self, tasks: &[BatchTask], nodes: &[(Option<NodeId>, Vec<NodeId>)]) {
        let malformed: Vec<String> = tasks
            .iter()
            .filter(|task| !task.identifier.is_empty() && !is_identifier(&task.identifier))
            .take(MAX_NAMED)
            .map(|task| quote(&task.identifier))
            .collect();
        let mut first = HashMap::new();
        for (task, (node, _)) in tasks.iter().zip(nodes) {
            let Some(node) = node else { continue };
            let span = self.document.span(*node);
            let shown = quote(&task.identifier);
            if !is_identifier(&task.identifier) {
                let message = format!("the identifier '{shown}' is malformed");
                let names = malformed.join(",");
                self.push(
                    Diagnostic::new(Severity::Error, Code::BatchIdentifier, span, message)
                        .with_hint("identifiers have letters, digits and _, and fewer than 128 characters")
                        .with_aws(format!(
                            "BatchSpec has invalid values.. Build Identifiers {names} must contain only alphanumeric \
                             characters and underscores and be less than 128 characters in length."
                        )),
                );
            } else if let Some(line) = first.insert(task.identifier.as_str(), span.start.line) {
                let message = format!("the identifier '{shown}' is already used on line {line}");
                self.push(
                    Diagnostic::new(Severity::Error, Code::BatchIdentifier, span, message)
                        .with_hint("give every build of the batch an identifier of its own"),
                );
            }
        }
    }

    fn check_dependencies(&mut self, tasks: &[BatchTask], nodes: &[(Option<NodeId>, Vec<NodeId>)]) {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (index, task) in tasks.iter().enumerate() {
            places.entry(&task.identifier).or_insert(index);
        }
        let mut later = Vec::new();
        for (index, (task, (_, depends))) in tasks.iter().zip(nodes).enumerate() {
            for (name, node) in task.depend_on.iter().zip(depends) {
                let span = self.document.span(*node);
                let shown = quote(name);
                match places.get(name.as_str()) {
                    None => {
                        let message = format!("the batch has no build '{shown}' to wait for");
                        self.push(Diagnostic::new(Severity::Error, Code::BatchDependency, span, message));
                    }
                    Some(place) if *place > index => later.push((shown, span)),
                    Some(_) => {}
                }
            }
        }
        if let Some(cycle) = find_cycle(tasks, &places) {
            let names: Vec<String> =
                cycle.iter().take(MAX_NAMED).filter_map(|at| tasks.get(*at)).map(|t| quote(&t.identifier)).collect();
            let span = cycle.first().and_then(|at| nodes.get(*at)).and_then(|(node, _)| *node);
            let span = span.map_or(Span::START, |node| self.document.span(node));
            let message = format!("builds of the graph wait for each other: {}", names.join(" → "));
            self.push(
                Diagnostic::new(Severity::Error, Code::BatchDependency, span, message)
                    .with_hint("remove one of these dependencies"),
            );
            return;
        }
        for (shown, span) in later {
            let message =
                format!("the build '{shown}' is defined further down; AWS wants it defined before it is used");
            self.warn(Code::BatchDependency, span, message, "move it up");
        }
    }
}

/// A cycle of the graph, its first member again at the end. Depth first, with a stack of its own.
fn find_cycle(tasks: &[BatchTask], places: &HashMap<&str, usize>) -> Option<Vec<usize>> {
    let mut done = HashSet::new();
    for start in 0..tasks.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        let mut on_path = HashSet::new();
        let mut next = Some(start);
        loop {
            if let Some(at) = next.take()
                && !done.contains(&at)
            {
                if !on_path.insert(at) {
                    let from = path.iter().position(|(member, _)| *member == at).unwrap_or(0);
                    return Some(path.iter().skip(from).map(|(member, _)| *member).chain([at]).collect());
                }
                path.push((at, 0));
            }
            let Some((at, edge)) = path.last_mut() else { break };
            let dependency = tasks.get(*at).and_then(|task| task.depend_on.get(*edge));
            *edge += 1;
            match dependency {
                Some(name) => next = places.get(name.as_str()).copied(),
                None => {
                    done.insert(*at);
                    on_path.remove(at);
                    path.pop();
                }
            }
        }
    }
    None
}
