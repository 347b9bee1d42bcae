//! A provider's API: notes what it is asked, and answers as a test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use kiln_core::providers::outgoing::{Answer, Call, CallError, Outgoing};
use serde_json::Value;

/// A call that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub(super) what: String,
    pub(super) body: Value,
    pub(super) authorization: Option<String>,
}

type Rule = (String, VecDeque<Result<(u16, Value), CallError>>);

#[derive(Debug, Default)]
pub(super) struct Provider {
    made: Mutex<Vec<Made>>,
    rules: Mutex<Vec<Rule>>,
}

impl Provider {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Answers what begins so, `POST https://…`, with these one after the other, and then with the last.
    pub(super) fn answers(&self, what: &str, answers: impl IntoIterator<Item = (u16, Value)>) {
        let answers = answers.into_iter().map(Ok).collect();
        self.rules.lock().unwrap().insert(0, (what.to_owned(), answers));
    }

    /// Cannot be reached for what begins so.
    pub(super) fn is_away(&self, what: &str) {
        let away = Err(CallError::Failed("no answer within 15 s".to_owned()));
        self.rules.lock().unwrap().insert(0, (what.to_owned(), VecDeque::from([away])));
    }

    pub(super) fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }

    /// Those calls whose `METHOD https://…` has this in it.
    pub(super) fn made_of(&self, what: &str) -> Vec<Made> {
        self.made().into_iter().filter(|made| made.what.contains(what)).collect()
    }

    /// Waits until so many of them are made.
    pub(super) async fn until(&self, what: &str, count: usize) -> Vec<Made> {
        let wait = async {
            loop {
                let made = self.made_of(what);
                if made.len() >= count {
                    return made;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(crate::place::PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{what} is not called {count} times: {:?}", self.made()))
    }
}

impl Outgoing for Provider {
    fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let what = format!("{} {}", call.method.as_str(), call.url);
        let body = call.body.as_deref().map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default();
        let authorization = call.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, v)| v.clone());
        self.made.lock().unwrap().push(Made { what: what.clone(), body, authorization });
        let mut rules = self.rules.lock().unwrap();
        let Some((_, answers)) = rules.iter_mut().find(|(start, _)| what.starts_with(start)) else {
            return Ok(Answer { status: 404, ..Answer::default() });
        };
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        answer.map(|(status, body)| Answer { status, body: body.to_string().into_bytes(), retry_after: None })
    }
}
