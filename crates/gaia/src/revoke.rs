//! Revocation: the body of `POST /revoke-all/{address}`, which shuts out all tokens of a bucket
//! that were made before a time.

use serde::Serialize;
use serde_json::Value;

/// The body of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevokeRequest {
    /// Tokens must be issued at this time or later, in seconds since 1970.
    #[serde(rename = "oldestValidTimestamp")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub oldest_valid_seconds: u64,
}

/// Why a body is refused. The messages are those of the stock hub, whose answers (400) carry no
/// `error` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// Not JSON.
    #[error("Invalid JSON")]
    NotJson,
    /// No time stamp, or zero.
    #[error("Invalid JSON: missing oldestValidTimestamp")]
    Missing,
    /// A time stamp that is no time.
    #[error("Invalid JSON: oldestValidTimestamp is not a valid integer")]
    NotAnInteger,
}

impl RevokeRequest {
    /// Reads a body: the time stamp may be a number or the text of one; a fraction is cut off.
    ///
    /// # Errors
    /// See [`RevokeError`].
    pub fn parse(body: &[u8]) -> Result<Self, RevokeError> {
        let body = body.trim_ascii();
        let value: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).map_err(|_| RevokeError::NotJson)?
        };
        let seconds = match value.get("oldestValidTimestamp") {
            None | Some(Value::Null | Value::Bool(false)) => return Err(RevokeError::Missing),
            Some(Value::String(text)) if text.is_empty() => return Err(RevokeError::Missing),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => None,
        };
        let seconds = seconds.ok_or(RevokeError::NotAnInteger)?;
        if seconds == 0.0 {
            return Err(RevokeError::Missing);
        }
        // Above 2^53 a number in JSON is no longer exact, and no time either.
        if !(1.0..9_007_199_254_740_992.0).contains(&seconds) {
            return Err(RevokeError::NotAnInteger);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range has just been checked, and the fraction is to be cut off"
        )]
        let oldest_valid_seconds = seconds as u64;
        Ok(Self {
            oldest_valid_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_numbers_and_texts() {
        for (number, seconds) in [
            ("1600000000", 1_600_000_000),
            ("\"1600000000\"", 1_600_000_000),
            ("1600000000.9", 1_600_000_000),
            // The stock hub folds this into 32 bits; here it stays what it is.
            ("4102444800", 4_102_444_800),
        ] {
            let body = format!(r#"{{"oldestValidTimestamp":{number}}}"#);
            let request = RevokeRequest::parse(body.as_bytes()).unwrap();
            assert_eq!(request.oldest_valid_seconds, seconds, "{number}");
        }
        let request = RevokeRequest {
            oldest_valid_seconds: 5,
        };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(json, r#"{"oldestValidTimestamp":5}"#);
        assert_eq!(RevokeRequest::parse(json.as_bytes()), Ok(request));
    }

    #[test]
    fn what_is_no_time_is_refused_in_the_words_of_the_stock_hub() {
        use RevokeError::*;
        for (body, want) in [
            ("", Missing),
            ("{}", Missing),
            ("[]", Missing),
            (r#"{"oldestValidTimestamp":0}"#, Missing),
            (r#"{"oldestValidTimestamp":""}"#, Missing),
            (r#"{"oldestValidTimestamp":null}"#, Missing),
            (r#"{"oldestValidTimestamp":-5}"#, NotAnInteger),
            (r#"{"oldestValidTimestamp":"NaN"}"#, NotAnInteger),
            (r#"{"oldestValidTimestamp":"soon"}"#, NotAnInteger),
            (r#"{"oldestValidTimestamp":1e300}"#, NotAnInteger),
            (r#"{"oldestValidTimestamp":[1]}"#, NotAnInteger),
            ("{", NotJson),
        ] {
            assert_eq!(RevokeRequest::parse(body.as_bytes()), Err(want), "{body}");
        }
    }
}
