//! What is refused when a policy is written.

use serde_json::{Value, json};

use super::super::{Entry, Kind, Policy, PolicyError};

#[track_caller]
fn refused(kind: Kind, document: &Value) -> String {
    Policy::parse(kind, &document.to_string()).expect_err(&document.to_string()).to_string()
}

fn with(changes: Value) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Action": "codebuild:*", "Resource": "*" });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            statement.as_object_mut().unwrap().remove(name);
        } else {
            statement[name] = value.clone();
        }
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[test]
fn mistakes_have_a_sentence_a_place_and_a_reason() {
    for (changes, expected) in [
        (json!({ "Effect": "allow" }), "Syntax errors in policy. Statement[0].Effect: expected \"Allow\" or \"Deny\""),
        (json!({ "Effect": null }), "Missing required field Effect. Statement[0]: "),
        (json!({ "Action": null }), "Policy statement must contain actions. Statement[0]: "),
        (json!({ "Action": [] }), "Policy statement must contain actions. Statement[0].Action: the list is empty"),
        (
            json!({ "NotAction": "*" }),
            "Syntax errors in policy. Statement[0]: a statement has either Action or NotAction",
        ),
        (
            json!({ "Action": "StartBuild" }),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. Statement[0].Action: 'StartBuild'",
        ),
        (
            json!({ "Action": ["s3:*", "a:b:c"] }),
            "Actions/Condition can contain only one colon. Statement[0].Action[1]: ",
        ),
        (json!({ "Action": "*:*" }), "Vendor * is not valid Statement[0].Action: "),
        (json!({ "Action": " s3:GetObject" }), "Vendor  s3 is not valid"),
        (json!({ "Action": "s3:Get Object" }), "Syntax errors in policy. Statement[0].Action: "),
        (json!({ "Action": 5 }), "Syntax errors in policy. Statement[0].Action: expected a text, not a number"),
        (json!({ "Resource": null }), "Policy statement must contain resources. Statement[0]: "),
        (
            json!({ "Resource": "project/demo" }),
            "Resource project/demo must be in ARN format or \"*\". Statement[0].Resource: ",
        ),
        (json!({ "Resource": "arn:aws:s3" }), "Resource arn:aws:s3 must be in ARN format"),
        (
            json!({ "Resource": "arn:nowhere:s3:::b" }),
            "Partition \"nowhere\" is not valid for resource \"arn:nowhere:s3:::b\".",
        ),
        (
            json!({ "Resource": "arn:aws:iam::${aws:PrincipalAccount}:role/x" }),
            "must be in ARN format or \"*\". Statement[0].Resource: variables",
        ),
        (
            json!({ "Resource": "arn:aws:s3:::${Bucket}" }),
            "The policy failed legacy parsing. Statement[0].Resource: '${Bucket}'",
        ),
        (json!({ "Resource": "arn:aws:s3:::${aws:username" }), "The policy failed legacy parsing."),
        (json!({ "Principal": "*" }), "Policy document should not specify a principal. Statement[0].Principal: "),
        (
            json!({ "Resources": "*" }),
            "Syntax errors in policy. Statement[0].Resources: no statement has such an element",
        ),
        (json!({ "sid": "x" }), "Syntax errors in policy. Statement[0].sid: "),
        (json!({ "Sid": "a b" }), "Statement IDs (SID) must be alpha-numeric."),
        (json!({ "Condition": [] }), "Syntax errors in policy. Statement[0].Condition: expected an object, not a list"),
        (
            json!({ "Condition": { "stringequals": { "aws:a": "b" } } }),
            "Statement[0].Condition.stringequals: 'stringequals' is no condition operator",
        ),
        (json!({ "Condition": { "NullIfExists": { "aws:a": "true" } } }), "is no condition operator"),
        (json!({ "Condition": { "ForAnyValue:Null": { "aws:a": "true" } } }), "is no condition operator"),
        (json!({ "Condition": { "ForSomeValues:StringEquals": { "aws:a": "b" } } }), "is no condition operator"),
        (json!({ "Condition": { "StringEquals": { "username": "b" } } }), "Conditions must be prefaced by a vendor"),
        (
            json!({ "Condition": { "StringEquals": { "aws:a": [] } } }),
            "Statement[0].Condition.StringEquals.aws:a: the list is empty",
        ),
        (
            json!({ "Condition": { "StringEquals": { "aws:a": null } } }),
            "expected a text, a number or a boolean, not null",
        ),
        (json!({ "Condition": { "NumericEquals": { "aws:a": "1e3" } } }), "'1e3' is no number"),
        (json!({ "Condition": { "DateEquals": { "aws:a": "today" } } }), "'today' is no date"),
        (json!({ "Condition": { "Bool": { "aws:a": "yes" } } }), "'yes' is neither true nor false"),
        (json!({ "Condition": { "Null": { "aws:a": ["true", "false"] } } }), "Null takes one value"),
        (
            json!({ "Condition": { "IpAddress": { "aws:a": "10.0.0.0/40" } } }),
            "'10.0.0.0/40' is neither an address nor a range",
        ),
        (json!({ "Condition": { "BinaryEquals": { "aws:a": "#" } } }), "'#' is not base64"),
        (json!({ "Condition": { "ArnLike": { "aws:a": "*" } } }), "'*' is no ARN"),
        (json!({ "Condition": { "StringEquals": { "aws:a": "${x" } } }), "has no '}'"),
    ] {
        let told = refused(Kind::Managed, &with(changes));
        assert!(told.contains(expected), "{told}\n  lacks {expected}");
    }
}

#[test]
fn documents_are_checked_as_a_whole() {
    for (document, expected) in [
        (json!([]), "Syntax errors in policy. document: expected an object, not a list"),
        (json!({ "Version": "2012-10-17" }), "a policy has a Statement"),
        (json!({ "Version": "2012-10-17", "Statement": [] }), "Statement: the list is empty"),
        (json!({ "Version": "2013-10-17", "Statement": [] }), "Syntax errors in policy. Version: "),
        (
            json!({ "version": "2012-10-17", "Statement": [] }),
            "Syntax errors in policy. version: a policy has Version, Id and Statement",
        ),
        (json!({ "Id": 5, "Statement": [] }), "Id: expected a text"),
    ] {
        let told = refused(Kind::Managed, &document);
        assert!(told.contains(expected), "{told}\n  lacks {expected}");
    }
    let twice = json!({ "Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*" });
    let told = refused(Kind::Managed, &json!({ "Statement": [twice, twice] }));
    assert!(told.starts_with("Statement IDs (SID) in a single policy must be unique."), "{told}");
    for (text, expected) in [
        ("", "This policy contains invalid Json. document: EOF"),
        ("{\"Statement\": ", "This policy contains invalid Json."),
        (
            "{\"Statement\": {\"Effect\": \"Deny\", \"Effect\": \"Allow\"}}",
            "the name \"Effect\" stands twice in one object",
        ),
        ("{} {}", "trailing characters"),
    ] {
        let told = Policy::parse(Kind::Managed, text).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
    let deep = format!("{{\"Statement\": {}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    assert!(Policy::parse(Kind::Managed, &deep).is_err());
}

#[test]
fn lengths_are_those_of_aws() {
    for (kind, limit, counts_blanks) in [
        (Kind::Managed, 6_144, false),
        (Kind::UserInline, 2_048, false),
        (Kind::GroupInline, 5_120, false),
        (Kind::RoleInline, 10_240, false),
        (Kind::Session, 2_048, true),
        (Kind::Bucket, 20_480, true),
    ] {
        let text = |fill: usize, blanks: usize| {
            let principal = if kind == Kind::Bucket { "\"Principal\":\"*\"," } else { "" };
            let head = format!(
                "{{\"Id\":\"{}\",\"Statement\":{{\"Effect\":\"Allow\",{principal}\"Action\":\"s3:*\",\"Resource\":\"*\"}}}}",
                "x".repeat(fill)
            );
            head + &" ".repeat(blanks)
        };
        let fill = limit - text(0, 0).len();
        assert!(Policy::parse(kind, &text(fill, 0)).is_ok(), "{kind:?}");
        let too_long = PolicyError::TooLong { quota: "PolicySize", limit };
        assert_eq!(Policy::parse(kind, &text(fill + 1, 0)), Err(too_long.clone()));
        assert_eq!(Policy::parse(kind, &text(fill, 1)).is_err(), counts_blanks, "{kind:?}");
    }
    assert!(Policy::parse(Kind::Managed, &(" ".repeat(200_000) + "{}")).is_err());
}

#[test]
fn who_is_named() {
    let parse = |principal: Value| {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        Policy::parse(Kind::Trust, &json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
    };
    let role = "arn:aws:iam::000000000000:role/path/x";
    let named = json!({
        "AWS": ["*", "000000000000", "arn:aws:iam::000000000000:root", role, "arn:aws:sts::000000000000:assumed-role/x/s"],
        "Service": "codebuild.amazonaws.com",
        "Federated": "arn:aws:iam::000000000000:oidc-provider/example.com",
    });
    let account = Entry::Account("000000000000".to_owned());
    let policy = parse(named).unwrap();
    let entries: Vec<&Entry> = policy.principals().collect();
    assert_eq!(
        entries[..5],
        [
            &Entry::Everyone,
            &account,
            &account,
            &Entry::Arn(role.to_owned()),
            &Entry::Arn("arn:aws:sts::000000000000:assumed-role/x/s".to_owned()),
        ]
    );
    for wrong in [
        json!({ "AWS": "arn:aws:iam::000000000000:role/*" }),
        json!({ "AWS": "arn:aws:iam::000000000000:group/g" }),
        json!({ "AWS": "arn:aws:iam::0000:role/x" }),
        json!({ "AWS": "alice" }),
        json!({ "AWS": [] }),
        json!({ "AWS": "" }),
        json!({ "Service": "*" }),
        json!({ "Service": "codebuild" }),
        json!({ "Other": "x" }),
        json!({}),
        json!("alice"),
        json!(["*"]),
    ] {
        let told = parse(wrong.clone()).unwrap_err().to_string();
        assert!(told.starts_with("Invalid principal in policy"), "{wrong}: {told}");
    }
    let told = parse(json!({ "AWS": "alice" })).unwrap_err().to_string();
    assert!(told.starts_with("Invalid principal in policy: \"AWS\":\"alice\" Statement.Principal.AWS: "), "{told}");
}

#[test]
fn each_kind_has_its_elements() {
    let named = |effect: &str, element: &str, action: &str| json!({ "Statement": { "Effect": effect, element: { "AWS": "000000000000" }, "Action": action, "Resource": "*" } });
    let told = refused(Kind::Key, &named("Allow", "NotPrincipal", "kms:*"));
    assert!(told.contains("NotPrincipal with Allow"), "{told}");
    assert!(Policy::parse(Kind::Key, &named("Deny", "NotPrincipal", "kms:*").to_string()).is_ok());
    assert!(refused(Kind::Bucket, &named("Allow", "Principal", "kms:*")).starts_with("Policy has invalid action"));
    assert!(refused(Kind::Project, &named("Allow", "Principal", "s3:*")).starts_with("Policy has invalid action"));
    assert!(
        refused(Kind::Trust, &named("Allow", "Principal", "sts:AssumeRole"))
            .starts_with("Has prohibited field Resource")
    );
    let missing = json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Resource": "*" } });
    assert!(refused(Kind::Bucket, &missing).starts_with("Missing required field Principal"));
    let trust = |action: Value| json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": action } });
    for action in [json!("*"), json!("iam:PassRole")] {
        assert!(
            refused(Kind::Trust, &trust(action))
                .starts_with("AssumeRole policy may only specify STS AssumeRole actions.")
        );
    }
    let policy = Policy::parse(Kind::Bucket, &named("Allow", "Principal", "s3:*").to_string()).unwrap();
    assert_eq!(policy.resources().collect::<Vec<_>>(), ["*"]);
}
