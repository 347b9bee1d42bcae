//! The part of CBOR (RFC 8949) that Smithy's protocol uses, from and to JSON. Points in time are numbers in JSON, and
//! numbers with the tag 1 in CBOR.

use kiln_model::ApiError;
use serde_json::{Map, Number, Value};

use super::is_time;

/// Arrays and maps within each other, at most.
const DEEPEST: usize = 32;
/// "Ends what has no length."
const BREAK: u8 = 0xff;

/// Reads a body. An empty one is an empty map.
///
/// # Errors
/// `SerializationException`.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    if reader.at < bytes.len() {
        return Err(reader.wrong("something follows the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> ApiError {
        ApiError::serialization(format!("the body is not CBOR of this protocol: {what} at byte {}", self.at))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], ApiError> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let found = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += found.len();
        Ok(found)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ApiError> {
        let bytes = self.take(N as u64)?;
        bytes.try_into().map_err(|_| self.wrong("it ends too early"))
    }

    /// The number that belongs to an initial byte; `None` for "without a length".
    fn argument(&mut self, low: u8) -> Result<Option<u64>, ApiError> {
        Ok(Some(match low {
            0..=23 => u64::from(low),
            24 => u64::from(u8::from_be_bytes(self.fixed()?)),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            31 => return Ok(None),
            _ => return Err(self.wrong("an initial byte is reserved")),
        }))
    }

    fn length(&mut self, low: u8) -> Result<u64, ApiError> {
        self.argument(low)?.ok_or_else(|| self.wrong("a number has no value"))
    }

    fn at_break(&mut self) -> bool {
        let is_break = self.bytes.get(self.at) == Some(&BREAK);
        self.at += usize::from(is_break);
        is_break
    }

    fn value(&mut self, depth: usize) -> Result<Value, ApiError> {
        if depth > DEEPEST {
            return Err(self.wrong(&format!("there are more than {DEEPEST} levels")));
        }
        let [initial] = self.fixed::<1>()?;
        let low = initial & 0x1f;
        match initial >> 5 {
            0 => Ok(self.length(low)?.into()),
            1 => {
                let number = self.length(low)?;
                let number = i64::try_from(number).map_err(|_| self.wrong("a number is too large"))?;
                Ok((-1 - number).into())
            }
            3 => self.text(low).map(Value::String),
            4 => self.array(low, depth),
            5 => self.map(low, depth),
            6 => {
                // Tag 1 says that the number is a time; others are not in the protocol.
                match self.length(low)? {
                    1 => match self.value(depth + 1)? {
                        time @ Value::Number(_) => Ok(time),
                        _ => Err(self.wrong("a time is not a number")),
                    },
                    tag => Err(self.wrong(&format!("the tag {tag} is not known"))),
                }
            }
            7 => self.simple(low),
            _ => Err(self.wrong("bytes are not a value of this service")),
        }
    }

    fn simple(&mut self, low: u8) -> Result<Value, ApiError> {
        let number = match low {
            20 => return Ok(false.into()),
            21 => return Ok(true.into()),
            22 | 23 => return Ok(Value::Null),
            25 => half(u16::from_be_bytes(self.fixed()?)),
            26 => f64::from(f32::from_be_bytes(self.fixed()?)),
            27 => f64::from_be_bytes(self.fixed()?),
            _ => return Err(self.wrong("a simple value is not known")),
        };
        Number::from_f64(number).map(Value::Number).ok_or_else(|| self.wrong("a number is not finite"))
    }

    fn text(&mut self, low: u8) -> Result<String, ApiError> {
        let Some(length) = self.argument(low)? else {
            let mut text = String::new();
            while !self.at_break() {
                let [initial] = self.fixed::<1>()?;
                // The pieces of a text have lengths.
                if initial >> 5 != 3 || initial & 0x1f == 31 {
                    return Err(self.wrong("a piece of a text is none"));
                }
                text.push_str(&self.text(initial & 0x1f)?);
            }
            return Ok(text);
        };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("a text is not UTF-8"))
    }

    fn array(&mut self, low: u8, depth: usize) -> Result<Value, ApiError> {
        let length = self.argument(low)?;
        let mut items = Vec::new();
        while length.map_or_else(|| !self.at_break(), |length| (items.len() as u64) < length) {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, low: u8, depth: usize) -> Result<Value, ApiError> {
        let length = self.argument(low)?;
        let mut members = Map::new();
        while length.map_or_else(|| !self.at_break(), |length| (members.len() as u64) < length) {
            let [initial] = self.fixed::<1>()?;
            if initial >> 5 != 3 {
                return Err(self.wrong("a name is not a text"));
            }
            let name = self.text(initial & 0x1f)?;
            let value = self.value(depth + 1)?;
            // Of two with one name no reader knows which is meant.
            if members.insert(name, value).is_some() {
                return Err(self.wrong("a name stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

/// A half-precision number.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

/// Writes an answer.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, value, false);
    bytes
}

fn head(bytes: &mut Vec<u8>, kind: u8, number: u64) {
    let kind = kind << 5;
    match (u8::try_from(number), u16::try_from(number), u32::try_from(number)) {
        (Ok(small @ 0..=23), ..) => bytes.push(kind | small),
        (Ok(number), ..) => bytes.extend([kind | 24, number]),
        (_, Ok(number), _) => {
            bytes.push(kind | 25);
            bytes.extend(number.to_be_bytes());
        }
        (.., Ok(number)) => {
            bytes.push(kind | 26);
            bytes.extend(number.to_be_bytes());
        }
        _ => {
            bytes.push(kind | 27);
            bytes.extend(number.to_be_bytes());
        }
    }
}

fn put(bytes: &mut Vec<u8>, value: &Value, times: bool) {
    match value {
        Value::Null => bytes.push(0xf6),
        Value::Bool(value) => bytes.push(if *value { 0xf5 } else { 0xf4 }),
        Value::Number(number) => {
            if times {
                head(bytes, 6, 1);
            }
            match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => head(bytes, 0, number),
                (_, Some(number), _) => head(bytes, 1, (-1 - number).unsigned_abs()),
                (.., number) => {
                    bytes.push(0xfb);
                    bytes.extend(number.unwrap_or_default().to_be_bytes());
                }
            }
        }
        Value::String(text) => {
            head(bytes, 3, text.len() as u64);
            bytes.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(bytes, 4, items.len() as u64);
            items.iter().for_each(|item| put(bytes, item, times));
        }
        Value::Object(members) => {
            head(bytes, 5, members.len() as u64);
            for (name, value) in members {
                head(bytes, 3, name.len() as u64);
                bytes.extend(name.as_bytes());
                put(bytes, value, is_time(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(text: &str) -> Result<Value, String> {
        decode(&hex::decode(text).unwrap()).map_err(|error| error.message)
    }

    /// The examples of RFC 8949, appendix A, as far as they are in the protocol.
    #[test]
    fn reads_the_examples_of_the_standard() {
        for (text, value) in [
            ("00", json!(0)),
            ("1818", json!(24)),
            ("1903e8", json!(1000)),
            ("1bffffffffffffffff", json!(u64::MAX)),
            ("3863", json!(-100)),
            ("f90000", json!(0.0)),
            ("f93e00", json!(1.5)),
            ("f97bff", json!(65504.0)),
            ("f90001", json!(5.960_464_477_539_063e-8)),
            ("f9c400", json!(-4.0)),
            ("fa47c35000", json!(100_000.0)),
            ("fb3ff199999999999a", json!(1.1)),
            ("f4", json!(false)),
            ("f7", json!(null)),
            ("c1fb41d452d9e5200000", json!(1_363_896_212.5)),
            ("64f0908591", json!("𐅑")),
            ("7f657374726561646d696e67ff", json!("streaming")),
            ("8301820203820405", json!([1, [2, 3], [4, 5]])),
            ("9f018202039f0405ffff", json!([1, [2, 3], [4, 5]])),
            ("bf61610161629f0203ffff", json!({ "a": 1, "b": [2, 3] })),
            ("a26161016162820203", json!({ "a": 1, "b": [2, 3] })),
            ("", json!({})),
        ] {
            assert_eq!(hex(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for (text, what) in [
            ("f97e00", "not finite"),
            ("f97c00", "not finite"),
            ("3bffffffffffffffff", "too large"),
            ("0000", "something follows"),
            ("1c", "reserved"),
            ("1f", "no value"),
            ("61ff", "not UTF-8"),
            ("7bffffffffffffffff", "too early"),
            ("9bffffffffffffffff", "too early"),
            ("bbffffffffffffffff", "too early"),
            ("9f", "too early"),
            ("a10101", "a name is not a text"),
            ("a2616101616102", "a name stands twice"),
            ("c26101", "the tag 2 is not known"),
            ("c16161", "a time is not a number"),
            ("4101", "bytes are not"),
            ("7f7f6161ffff", "a piece of a text"),
            ("f8ff", "a simple value"),
        ] {
            let error = hex(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
        for deep in [vec![0x9f; 100_000], vec![0xc1; 100_000], vec![0x81; 100_000]] {
            assert!(decode(&deep).unwrap_err().message.contains("levels"));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "Metrics": [{ "a": 1, "b": -1, "c": 1.5, "d": null, "e": true, "f": "ä".repeat(300) }],
            "n": [0, 23, 24, 255, 256, 65_535, 65_536, 4_294_967_296_u64, i64::MIN],
        });
        assert_eq!(decode(&encode(&value)).unwrap(), value);
        let times = encode(&json!({ "Timestamps": [1.0], "x": 1.0 }));
        assert_eq!(times.windows(2).filter(|pair| *pair == [0xc1, 0xfb]).count(), 1, "one number is a time");
    }
}
