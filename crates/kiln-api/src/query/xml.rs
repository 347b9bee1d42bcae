//! XML as the query protocol writes it.

use http::{Response, header};
use kiln_iam::sigv4::amz_date;
use kiln_model::Timestamp;

use crate::{
    authenticate::time_of,
    body::Answer,
    fault::{XML, xml_text},
};

/// An answer that is being written.
pub(super) struct Xml {
    text: String,
    name: String,
}

impl Xml {
    /// Begins the answer of an operation.
    pub(super) fn answer(name: &str, namespace: &str) -> Self {
        Self { text: format!("<{name}Response xmlns=\"{namespace}\"><{name}Result>"), name: name.to_owned() }
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.text.push_str(&format!("<{name}>{}</{name}>", xml_text(value)));
    }

    pub(super) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(super) fn time(&mut self, name: &str, time: Timestamp) {
        self.text(name, &iso_date(time));
    }

    /// A policy's text: escaped as in a query, so that clients of any age can take it out again.
    pub(super) fn document(&mut self, name: &str, text: &str) {
        let mut escaped = String::with_capacity(text.len() * 2);
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
                other => escaped.push_str(&format!("%{other:02X}")),
            }
        }
        self.text(name, &escaped);
    }

    pub(super) fn within(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.text.push_str(&format!("<{name}>"));
        inside(self);
        self.text.push_str(&format!("</{name}>"));
    }

    pub(super) fn members<T>(&mut self, name: &str, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.within(name, |xml| {
            for item in items {
                xml.within("member", |xml| one(xml, item));
            }
        });
    }

    /// Texts in a list.
    pub(super) fn texts(&mut self, name: &str, items: &[String]) {
        self.within(name, |xml| items.iter().for_each(|item| xml.text("member", item)));
    }

    pub(super) fn truncation(&mut self, marker: Option<&str>) {
        self.text("IsTruncated", if marker.is_some() { "true" } else { "false" });
        self.maybe("Marker", marker);
    }

    /// Ends the answer.
    pub(super) fn finish(self, request_id: &str) -> Response<Answer> {
        let Self { mut text, name } = self;
        text.push_str(&format!(
            "</{name}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>\n"
        ));
        let mut response = Response::new(Answer::whole(text));
        response.headers_mut().insert(header::CONTENT_TYPE, XML);
        response
    }
}
/// `2026-11-26T10:00:00Z`
pub(crate) fn iso_date(time: Timestamp) -> String {
    let date = amz_date(time_of(time));
    // 20261126T100000Z → 2026-11-26T10:00:00Z
    let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
    format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(9, 11), part(11, 13), part(13, 15))
}
