//! From a request's body to an input whose constraints hold.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    ApiError, ErrorCode,
    constraint::{self, Structure},
    error::excerpt,
};

/// An input of an operation.
pub trait Input: DeserializeOwned {
    /// Its constraints.
    const SHAPE: &'static Structure;

    /// The error of an input that violates them.
    const VIOLATED: ErrorCode = ErrorCode::InvalidInput;

    /// The error of the first violation, where the service has errors for single members.
    fn refusal(_: &Value) -> Option<ApiError> {
        None
    }
}

/// Reads a body.
///
/// # Errors
/// `SerializationException` when it is no JSON object or a member has another JSON type; the service's error, for example
/// `InvalidInputException`, when a constraint is violated (required members, lengths, patterns, ranges, enumerations,
/// counts).
pub fn decode<T: Input>(body: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::serialization(format!("the body is not JSON: {}", excerpt(&error.to_string()))))?;
    from_value(value)
}

/// As [`decode`], for JSON that has been read already.
///
/// # Errors
/// As [`decode`].
pub fn from_value<T: Input>(value: Value) -> Result<T, ApiError> {
    if !value.is_object() {
        return Err(ApiError::serialization("the body is not a JSON object"));
    }
    if let Some(refusal) = T::refusal(&value) {
        return Err(refusal);
    }
    constraint::check(T::SHAPE, &value).map_err(|message| ApiError::new(T::VIOLATED, message))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        ApiError::serialization(format!("'{}': {}", excerpt(&path), excerpt(&error.into_inner().to_string())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebuild::{BatchGetBuildsInput, CreateProjectInput, ListProjectsInput, StartBuildInput};

    fn error<T: Input>(body: &str) -> (ErrorCode, String) {
        let error = decode::<T>(body.as_bytes()).err().unwrap();
        (error.code, error.message)
    }

    #[test]
    fn unknown_members_and_nulls_are_ignored() {
        let input: StartBuildInput =
            decode(br#"{"projectName":"demo","sourceVersion":null,"newThing":{"a":[1]}}"#).unwrap();
        assert_eq!(input, StartBuildInput { project_name: "demo".to_owned(), ..Default::default() });
    }

    #[test]
    fn what_is_no_json_object_is_a_serialization_exception() {
        for body in ["", "{", "[]", "null", "\"x\"", "{\"projectName\":\"\u{0}\"}", "\u{feff}{}"] {
            assert_eq!(error::<StartBuildInput>(body).0, ErrorCode::Serialization, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(error::<StartBuildInput>(&deep).0, ErrorCode::Serialization);
    }

    #[test]
    fn a_wrong_json_type_is_named() {
        let (code, message) = error::<StartBuildInput>(
            r#"{"projectName":"demo","environmentVariablesOverride":[{"name":"A","value":1}]}"#,
        );
        assert_eq!(code, ErrorCode::Serialization);
        assert_eq!(message, "'environmentVariablesOverride[0].value': invalid type: integer `1`, expected a string");
        assert_eq!(error::<BatchGetBuildsInput>(r#"{"ids":"x"}"#).0, ErrorCode::Serialization);
        let huge = r#"{"projectName":"demo","gitCloneDepthOverride":99999999999}"#;
        assert_eq!(error::<StartBuildInput>(huge).0, ErrorCode::Serialization);
    }

    #[test]
    fn all_violations_are_told_at_once() {
        let (code, message) = error::<StartBuildInput>(
            r#"{"timeoutInMinutesOverride":4,"cacheOverride":{"type":"S4","modes":["LOCAL_SOURCE_CACHE","X"]}}"#,
        );
        assert_eq!(code, ErrorCode::InvalidInput);
        assert_eq!(
            message,
            "4 validation errors detected: Value null at 'projectName' failed to satisfy constraint: Member must not be \
             null; Value 'S4' at 'cacheOverride.type' failed to satisfy constraint: Member must satisfy enum value set: \
             [NO_CACHE, S3, LOCAL]; Value 'X' at 'cacheOverride.modes.2.member' failed to satisfy constraint: Member \
             must satisfy enum value set: [LOCAL_DOCKER_LAYER_CACHE, LOCAL_SOURCE_CACHE, LOCAL_CUSTOM_CACHE]; Value '4' \
             at 'timeoutInMinutesOverride' failed to satisfy constraint: Member must have value greater than or equal \
             to 5"
        );
        let (_, message) = error::<ListProjectsInput>(r#"{"nextToken":""}"#);
        assert_eq!(
            message,
            "1 validation error detected: Value '' at 'nextToken' failed to satisfy constraint: Member must have \
             length greater than or equal to 1"
        );
    }

    #[test]
    fn texts_that_clients_know_stand_alone() {
        let body = |name: &str, environment: &str, compute: &str| {
            format!(
                r#"{{"name":"{name}","source":{{"type":"NO_SOURCE"}},"artifacts":{{"type":"NO_ARTIFACTS"}},"serviceRole":"r",
                "environment":{{"type":"{environment}","image":"i","computeType":"{compute}"}}}}"#
            )
        };
        let linux = "LINUX_CONTAINER";
        let small = "BUILD_GENERAL1_SMALL";
        decode::<CreateProjectInput>(body("demo", linux, small).as_bytes()).unwrap();
        for name in ["d", "-demo", "de mo", "!demo", &"d".repeat(151), "démo"] {
            let (_, message) = error::<CreateProjectInput>(&body(name, linux, small));
            assert_eq!(message, "Only alphanumeric characters, dash, and underscore are supported", "{name}");
        }
        let (_, message) = error::<CreateProjectInput>(&body("demo", linux, "HUGE"));
        assert_eq!(message, "Invalid compute type provided: HUGE");
        let (_, message) = error::<CreateProjectInput>(&body("demo", "CP/M", small));
        assert_eq!(message, "Invalid type provided: CP/M");
    }

    #[test]
    fn hostile_lists_make_short_answers() {
        let ids = vec!["\"\""; 100_000].join(",");
        let (code, message) = error::<BatchGetBuildsInput>(&format!(r#"{{"ids":[{ids}]}}"#));
        assert_eq!(code, ErrorCode::InvalidInput);
        assert!(message.len() < 4000, "{} bytes", message.len());
    }
}
