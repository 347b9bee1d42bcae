//! Which permissions each operation needs: one data file, `table/operations.txt`, whose head says how it is written.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// What an operation needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    /// The permissions; none: everybody who has signed may call it.
    pub permissions: Vec<Permission>,
}

impl Operation {
    /// The permission that is needed on a condition, e.g. `version`; `None` for the one that is needed always.
    #[must_use]
    pub fn when(&self, condition: Option<&str>) -> Option<&Permission> {
        self.permissions.iter().find(|permission| permission.when == condition)
    }
}

/// A permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// When it is needed, if not always: `version`, `source`, `source-version`, `pass`, `tags`, `governance`.
    pub when: Option<&'static str>,
    /// E.g. `codebuild:StartBuild`.
    pub action: &'static str,
    /// Names of the resources that it may be about (see [`Table::resource`]); none: nothing in particular, `*`.
    pub resources: Vec<&'static str>,
    /// Condition keys, beside those that every request has; a `${…}` in one stands for any text.
    pub keys: Vec<&'static str>,
}

/// The data file.
#[derive(Debug, Default)]
pub struct Table {
    types: HashMap<&'static str, &'static str>,
    resources: HashMap<&'static str, &'static str>,
    operations: HashMap<&'static str, HashMap<&'static str, Operation>>,
    global: Vec<&'static str>,
}

const TEXT: &str = include_str!("table/operations.txt");

/// The table. Were its file broken it would be empty, and an operation without a row is allowed to nobody.
pub fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(TEXT).unwrap_or_default());
    &TABLE
}

impl Table {
    /// The row of an operation; `service` is the name that requests are signed for.
    #[must_use]
    pub fn operation(&self, service: &str, operation: &str) -> Option<&Operation> {
        self.operations.get(service)?.get(operation)
    }

    /// All rows: service, operation, what it needs.
    pub fn operations<'a>(&'a self) -> impl Iterator<Item = (&'static str, &'static str, &'a Operation)> {
        let of_service = |(service, rows): (&&'static str, &'a HashMap<&'static str, Operation>)| {
            let service = *service;
            rows.iter().map(move |(name, operation)| (service, *name, operation))
        };
        self.operations.iter().flat_map(of_service)
    }

    /// The form of a resource's ARN, e.g. of `codebuild-project`.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&'static str> {
        self.resources.get(name).copied()
    }

    /// The type of a condition key's values, e.g. `ArrayOfString`. A key of one tag or item has the type of its form.
    #[must_use]
    pub fn type_of(&self, key: &str) -> Option<&'static str> {
        self.types.iter().find(|(form, _)| is_of_form(key, form)).map(|(_, kind)| *kind)
    }

    /// The keys that every request has.
    #[must_use]
    pub fn global_keys(&self) -> &[&'static str] {
        &self.global
    }

    fn parse(text: &'static str) -> Result<Self, String> {
        let mut table = Self::default();
        let mut sets = HashMap::<&str, Vec<&str>>::new();
        let mut rows = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |problem: &str| format!("line {}: {problem}", at + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (head, body) = line.split_once(": ").ok_or_else(|| wrong("expected a colon and a blank"))?;
            let (kind, name) = head.split_once(' ').ok_or_else(|| wrong("expected two words before the colon"))?;
            match kind {
                "type" => {
                    for key in body.split(' ') {
                        if table.types.insert(key, name).is_some() {
                            return Err(wrong(&format!("{key} has two types")));
                        }
                    }
                }
                "keys" => sets.entry(name).or_default().extend(body.split(' ')),
                "resource" => {
                    table.resources.insert(name, body);
                }
                service => rows.push((at, service, name, body)),
            }
        }
        for (at, service, name, body) in rows {
            let wrong = |problem: &str| format!("line {}: {problem}", at + 1);
            let permissions = match body {
                "-" => Vec::new(),
                body => body
                    .split(" & ")
                    .map(|text| permission(text, &sets))
                    .collect::<Result<_, _>>()
                    .map_err(|e| wrong(&e))?,
            };
            let unknown = permissions.iter().flat_map(|permission: &Permission| &permission.resources);
            if let Some(unknown) = unknown.clone().find(|resource| !table.resources.contains_key(*resource)) {
                return Err(wrong(&format!("there is no resource {unknown}")));
            }
            if table.operations.entry(service).or_default().insert(name, Operation { permissions }).is_some() {
                return Err(wrong("the operation has two rows"));
            }
        }
        let used: HashSet<&str> = sets.values().flatten().copied().collect();
        if let Some(key) = used.iter().find(|key| !table.types.contains_key(*key)) {
            return Err(format!("{key} has no type"));
        }
        table.global = sets.remove("global").unwrap_or_default();
        Ok(table)
    }
}

fn permission(text: &'static str, sets: &HashMap<&str, Vec<&'static str>>) -> Result<Permission, String> {
    let (when, rest) = match text.strip_prefix('[') {
        None => (None, text),
        Some(text) => text.split_once("] ").map(|(when, rest)| (Some(when), rest)).ok_or("a bracket is not closed")?,
    };
    let words: Vec<&'static str> = rest.split(' ').collect();
    let [action, resources, keys] = words.as_slice() else { return Err(format!("'{rest}' is no permission")) };
    let resources = if *resources == "*" { Vec::new() } else { resources.split('|').collect() };
    let keys = match *keys {
        "-" => Vec::new(),
        names => {
            let set = |name| sets.get(name).ok_or_else(|| format!("there is no set of keys {name}"));
            names.split('+').map(set).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().copied().collect()
        }
    };
    Ok(Permission { when, action, resources, keys })
}

/// Whether a key has that form, in which a `${…}` stands for any text that is not empty.
fn is_of_form(key: &str, form: &str) -> bool {
    let (key, form) = (key.to_lowercase(), form.to_lowercase());
    match form.split_once("${") {
        None => key == form,
        Some((before, rest)) => {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            key.len() > before.len() + after.len() && key.starts_with(before) && key.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_well_formed() {
        let table = Table::parse(TEXT).unwrap();
        for (_, name, operation) in table.operations() {
            for permission in &operation.permissions {
                let (service, action) = permission.action.split_once(':').unwrap();
                assert!(!service.is_empty() && !action.is_empty(), "{name}");
            }
        }
        for form in table.resources.values() {
            assert_eq!(form.splitn(6, ':').count(), 6, "{form}");
        }
        assert!(table.global_keys().contains(&"aws:SourceIp"));
    }

    #[test]
    fn rows_say_what_operations_need() {
        let start = table().operation("codebuild", "StartBuild").unwrap();
        let own = start.when(None).unwrap();
        assert_eq!((own.action, own.resources.as_slice()), ("codebuild:StartBuild", ["codebuild-project"].as_slice()));
        assert!(own.keys.contains(&"codebuild:environment.privilegedMode"));
        assert!(!own.keys.contains(&"codebuild:vpcConfig.vpcId"));
        assert_eq!(start.when(Some("pass")).unwrap().action, "iam:PassRole");
        let create = table().operation("codebuild", "CreateProject").unwrap().when(None).unwrap();
        assert_eq!(
            create.keys.iter().filter(|key| !key.ends_with("Arn") && !key.contains("ResourceTag")).count(),
            86 - 1
        );
        let head = table().operation("s3", "HeadObject").unwrap();
        assert_eq!(head.when(None).unwrap().action, "s3:GetObject");
        assert_eq!(head.when(Some("version")).unwrap().action, "s3:GetObjectVersion");
        assert_eq!(table().operation("s3", "ListObjectsV2").unwrap().when(None).unwrap().action, "s3:ListBucket");
        assert_eq!(table().operation("s3", "UploadPart").unwrap().when(None).unwrap().action, "s3:PutObject");
        assert!(table().operation("sts", "GetCallerIdentity").unwrap().permissions.is_empty());
        assert!(table().operation("codebuild", "startbuild").is_none());
    }

    #[test]
    fn keys_have_types() {
        for (key, expected) in [
            ("aws:ResourceTag/Env", "String"),
            ("codebuild:environment.environmentVariables/STAGE.value", "String"),
            ("AWS:tagkeys", "ArrayOfString"),
            ("codebuild:environment.privilegedMode", "Bool"),
        ] {
            assert_eq!(table().type_of(key), Some(expected), "{key}");
        }
        assert_eq!(table().type_of("aws:ResourceTag/"), None);
        assert_eq!(table().type_of("aws:nothing"), None);
    }
}
