//! Parameters and secrets that builds name, read on behalf of their roles (`buildspec.md` 1.6).

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    audit::Rulings,
    build_secret::{BuildSecret, BuildSecretAnswer, HiddenText},
    secretsmanager::GetSecretValueRequest,
    service::Context,
};
use serde_json::Value;

use crate::{core::Inner, document::Document, runners::Runners, secretsmanager, ssm};

/// One answer for each that is wanted, in order.
pub(crate) async fn of_build<R: Runners>(
    inner: &Arc<Inner<R>>,
    document: &Document,
    wanted: Vec<BuildSecret>,
) -> Vec<BuildSecretAnswer> {
    let caller = match inner.as_caller(document) {
        Ok((caller, _)) => caller,
        Err(error) => return vec![refused(error); wanted.len()],
    };
    let context = Context {
        origin: String::new(),
        caller,
        region: inner.config.home.region.clone(),
        request_id: document.uuid().to_owned(),
        // As over the API: nothing of it leaves the machine in the clear.
        surroundings: [("aws:SecureTransport", "true".to_owned())].into(),
        rulings: Rulings::default(),
        traceparent: None,
    };
    let mut answers = Vec::with_capacity(wanted.len());
    for secret in wanted {
        let answer = match secret {
            BuildSecret::Parameter { name } => ssm::of_build(inner, &context, &name).map(|value| {
                BuildSecretAnswer::Value { value: HiddenText(value.expose().to_owned()), hidden: Vec::new() }
            }),
            BuildSecret::Secret { id, json_key, version_stage, version_id } => {
                let request = GetSecretValueRequest { secret_id: id, version_id, version_stage };
                secret_of(inner, &context, request, json_key).await
            }
        };
        answers.push(answer.unwrap_or_else(refused));
    }
    answers
}

fn refused(error: ApiError) -> BuildSecretAnswer {
    BuildSecretAnswer::Refused { code: error.code.as_str().to_owned(), message: error.message }
}

async fn secret_of<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    request: GetSecretValueRequest,
    key: Option<String>,
) -> Result<BuildSecretAnswer, ApiError> {
    let id = request.secret_id.clone();
    let answer = secretsmanager::of_build(inner, context, request).await?;
    let Some(text) = answer.secret_string else {
        let message = format!("the secret {id} is bytes (SecretBinary), which cannot be the value of a variable");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    let whole = HiddenText(text.expose().to_owned());
    let Some(key) = key else { return Ok(BuildSecretAnswer::Value { value: whole, hidden: Vec::new() }) };
    let value = HiddenText(member(text.expose(), &key).map_err(|why| {
        ApiError::new(ErrorCode::InvalidRequest, format!("the secret {id} {why}, so it has no key {key}"))
    })?);
    // The text that it stands in is as secret as the rest of it.
    Ok(BuildSecretAnswer::Value { value, hidden: vec![whole] })
}

/// A member of a JSON object: a text as it is, anything else as JSON (`buildspec.md` 1.6).
fn member(text: &str, key: &str) -> Result<String, &'static str> {
    let parsed: Value = serde_json::from_str(text).map_err(|_| "is no JSON")?;
    let object = parsed.as_object().ok_or("is JSON, but no object")?;
    match object.get(key).ok_or("is a JSON object without it")? {
        Value::String(text) => Ok(text.clone()),
        other => Ok(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_texts_or_json() {
        let text = r#"{"user":"bob","port":5432,"tls":true,"none":null,"more":{"a":[1]},"a\"b":"quoted"}"#;
        for (key, value) in [
            ("user", "bob"),
            ("port", "5432"),
            ("tls", "true"),
            ("none", "null"),
            ("more", r#"{"a":[1]}"#),
            ("a\"b", "quoted"),
        ] {
            assert_eq!(member(text, key).as_deref(), Ok(value), "{key}");
        }
        for (text, why) in
            [("hunter2", "is no JSON"), ("[1]", "is JSON, but no object"), ("{}", "is a JSON object without it")]
        {
            assert_eq!(member(text, "user"), Err(why));
        }
    }
}
