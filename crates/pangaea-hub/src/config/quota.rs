//! The quotas of single buckets, as they are written: `ADDRESS bytes=1000000 files=100`.

use std::collections::BTreeMap;

use gaia::address::Address;

use super::value::Value;
use super::{Quota, QuotaSettings};

impl QuotaSettings {
    /// What holds for a bucket.
    #[must_use]
    pub fn of(&self, bucket: &Address) -> Quota {
        self.buckets.get(bucket).copied().unwrap_or(self.each)
    }
}

impl Quota {
    /// Whether a bucket may hold whatever there is room for.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn get(buckets: &BTreeMap<Address, Quota>) -> Option<Value> {
    let shown = buckets.iter().map(|(bucket, quota)| {
        let mut text = bucket.to_string();
        for (name, number) in [("bytes", quota.bytes), ("files", quota.files)] {
            if let Some(number) = number {
                text += &format!(" {name}={number}");
            }
        }
        text
    });
    let items: Vec<String> = shown.collect();
    (!items.is_empty()).then_some(Value::List(items))
}

pub(super) fn set(items: Vec<String>) -> Result<BTreeMap<Address, Quota>, String> {
    let mut buckets = BTreeMap::new();
    for item in items {
        let (bucket, quota) = parse(&item).map_err(|error| format!("\"{item}\": {error}"))?;
        if buckets.insert(bucket, quota).is_some() {
            return Err(format!("{bucket} is there twice"));
        }
    }
    Ok(buckets)
}

fn parse(item: &str) -> Result<(Address, Quota), String> {
    let mut words = item.split_ascii_whitespace();
    let bucket = Address::parse(words.next().unwrap_or_default());
    let bucket = bucket.map_err(|error| error.to_string())?;
    let mut quota = Quota::default();
    for word in words {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let of = match name {
            "bytes" => &mut quota.bytes,
            "files" => &mut quota.files,
            _ => return Err(format!("{name} is neither bytes nor files")),
        };
        let number = number
            .parse()
            .map_err(|_| format!("{name}= needs a whole number"))?;
        if of.replace(number).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok((bucket, quota))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: &str = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT";

    #[test]
    fn a_line_is_read_as_it_is_shown() {
        for text in [
            BUCKET.to_owned(),
            format!("{BUCKET} bytes=0"),
            format!("{BUCKET} bytes=10 files=7"),
        ] {
            let set = set(vec![text.clone()]).unwrap();
            assert_eq!(get(&set), Some(Value::List(vec![text])));
        }
        assert_eq!(get(&BTreeMap::new()), None);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |items: &[&str]| {
            let items = items.iter().map(|item| item.replace('B', BUCKET)).collect();
            set(items).unwrap_err().replace(BUCKET, "B")
        };
        assert_eq!(
            wrong(&["B size=1"]),
            "\"B size=1\": size is neither bytes nor files"
        );
        assert_eq!(
            wrong(&["B bytes"]),
            "\"B bytes\": bytes= needs a whole number"
        );
        assert_eq!(
            wrong(&["B files=1 files=1"]),
            "\"B files=1 files=1\": files is there twice"
        );
        assert_eq!(wrong(&["B", "B files=1"]), "B is there twice");
        assert!(wrong(&["x"]).starts_with("\"x\": "));
    }
}
