//! Join links: `pangaea://join?hub=URL#key=HEX`. The key sits behind the hash sign, which no web
//! server gets to see; whoever has the link has the bucket.

use std::fs;
use std::io;
use std::io::Read;

use gaia::key::SecretKey;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::percent_decode_str;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::error::CliError;

const START: &str = "pangaea://join?";
const LINK_BYTES_MAX: u64 = 16 * 1024;
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/');

/// What a link holds.
pub(crate) struct JoinLink {
    pub(crate) hub_url: String,
    pub(crate) key: SecretKey,
}

impl JoinLink {
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let hub = utf8_percent_encode(&self.hub_url, PLAIN);
        let key = self.key.to_hex();
        Zeroizing::new(format!("{START}hub={hub}#key={}", key.as_str()))
    }

    /// The same for a web application at `address`, in the part that no web server gets to see.
    pub(crate) fn to_web(&self, address: &str) -> Zeroizing<String> {
        let hub = utf8_percent_encode(&self.hub_url, PLAIN);
        let key = self.key.to_hex();
        Zeroizing::new(format!("{address}#hub={hub}&key={}", key.as_str()))
    }

    /// Reads a link. The error never repeats it.
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        let wrong = |what: &str| {
            CliError::usage(format!("this is not a join link: {what}"))
                .hint("copy the whole link that `pangaea up` printed, and put it in quotes")
        };
        let rest = text
            .trim()
            .strip_prefix(START)
            .ok_or_else(|| wrong("it does not begin with pangaea://join?"))?;
        let (query, secret) = rest
            .split_once('#')
            .ok_or_else(|| wrong("the part behind the # is missing"))?;
        let hub = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("hub="))
            .ok_or_else(|| wrong("it does not name a hub"))?;
        let hub_url = percent_decode_str(hub)
            .decode_utf8()
            .map_err(|_| wrong("the hub's address cannot be read"))?
            .into_owned();
        let key = secret
            .split('&')
            .find_map(|pair| pair.strip_prefix("key="))
            .ok_or_else(|| wrong("it holds no key"))?;
        let key = SecretKey::from_hex(key).map_err(|_| wrong("the key in it is not whole"))?;
        Ok(Self { hub_url, key })
    }

    /// Reads a link as it stands in an argument: itself, `-` or `@FILE`.
    pub(crate) fn from_argument(argument: &str) -> Result<Self, CliError> {
        let mut text = Zeroizing::new(String::new());
        if argument == "-" {
            io::stdin()
                .take(LINK_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|error| CliError::failed(format!("cannot read the link: {error}")))?;
        } else if let Some(file) = argument.strip_prefix('@') {
            fs::File::open(file)
                .and_then(|opened| opened.take(LINK_BYTES_MAX).read_to_string(&mut text))
                .map_err(|error| CliError::of_file("read the link from", file.as_ref(), &error))?;
        } else {
            return Self::parse(argument);
        }
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_survives_the_way_through_text() {
        for hub_url in ["http://127.0.0.1:4000", "https://höb.example/a b?c&d#e%20"] {
            let key = SecretKey::from_bytes(&[7; 32]).unwrap();
            let link = JoinLink {
                hub_url: hub_url.to_owned(),
                key,
            };
            let read = JoinLink::parse(&format!(" {}\n", link.to_text().as_str())).unwrap();
            assert_eq!(read.hub_url, hub_url);
            assert_eq!(read.key.address(), link.key.address());
        }
    }

    #[test]
    fn what_is_no_link_is_refused_without_being_repeated() {
        let secret = "07".repeat(32);
        for text in [
            format!("https://join?hub=http://h#key={secret}"),
            format!("pangaea://join?hub=http://h&key={secret}"),
            format!("pangaea://join?bucket=x#key={secret}"),
            format!("pangaea://join?hub=http://h#{secret}"),
            format!("pangaea://join?hub=http://h#key={secret}0"),
            format!("pangaea://join?hub=%ff#key={secret}"),
        ] {
            let error = JoinLink::parse(&text).err().expect("refused");
            assert!(!format!("{error:?}").contains(&secret), "{error:?}");
        }
    }
}
